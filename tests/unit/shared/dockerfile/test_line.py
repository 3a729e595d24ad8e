from __future__ import annotations

import pytest

from shared.dockerfile.line import quoted_words, split_line
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "flags", "args", "json"),
    [
        ("run --a=1 --b='c d' x  y ", ("--a=1", "--b=c d"), ("x  y",), False),
        ("COPY -- --a b", (), ("--a", "b"), False),
        ('CMD [ "a", "b" ]', (), ("a", "b"), True),
        ("CMD [a]", (), ("[a]",), False),
        ("ENV a=b 'c d'=e", (), ("a", "b", "=", "'c d'", "e", "="), False),
        ("ENV a  b c", (), ("a", "b c", ""), False),
        ("ONBUILD RUN --x=1 a b", (), ("RUN", "a b"), False),
        ("HEALTHCHECK --x=1 CMD  a b", ("--x=1",), ("CMD", "a b"), False),
        ("ARG a b='c d'", (), ("a", "b='c d'"), False),
        ("USER", (), (), False),
    ],
)
def test_lines(text: str, flags: tuple[str, ...], args: tuple[str, ...], json: bool) -> None:
    line = split_line(text, "\\")
    assert (line.flags, line.args, line.json) == (flags, args, json)


def test_words_keep_their_quotes() -> None:
    assert quoted_words('a\\ b \'c \\\' "d \\" e" f\\', "\\") == ["a\\ b", "'c \\'", '"d \\" e"', "f"]


def test_what_is_refused() -> None:
    for text in ("LABEL a", "ENV a=b c", "VOLUME [1]"):
        with pytest.raises(InvalidArgument):
            split_line(text, "\\")
