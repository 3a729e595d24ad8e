from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dockerfile.words import Lex
from shared.errors import InvalidArgument

VARIABLES = {"A": "one", "EMPTY": "", "PATH": "/usr/bin:/bin", "S": "x y", "F": "dir/file.tar.gz",
             "LONG": "x" * 10_000}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A", "one"), ("${A}s", "ones"), ("$NONE", ""), ("a$", "a$"), ("$.x", "$.x"), ("$$x", "x"), (r"\$A", "$A"),
        ("'$A'", "$A"), ('"$A b"', "one b"), (r'"\$A\x"', r"$A\x"), ('"a"\'b\'c', "abc"), ("a\\", "a"), ("$1a", "a"),
        ("${A:-x}", "one"), ("${NONE:-x}", "x"), ("${EMPTY:-x}", "x"), ("${EMPTY-x}", ""), ("${NONE-${A}}", "one"),
        ("${A:+x}", "x"), ("${EMPTY:+x}", ""), ("${EMPTY+x}", "x"), ("${NONE+x}", ""), ("${A:?no}", "one"),
        ("${F#*/}", "file.tar.gz"), ("${F##*.}", "gz"), ("${F%.*}", "dir/file.tar"), ("${F%%.*}", "dir/file"),
        ("${F/file/x}", "dir/x.tar.gz"), ("${F//./_}", "dir/file_tar_gz"), (r"${PATH//\//-}", "-usr-bin:-bin"),
        ("<<EOF", "<<EOF"), ("a<b", "a<b"),
    ],
)  # fmt: skip
def test_expansion(text: str, expected: str) -> None:
    assert Lex().expand(text, VARIABLES) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${", "syntax error: missing '}'"), ("${}", "bad substitution"), ("${A", "unsupported modifier"),
        ("${A:", "unsupported modifier (:)"), ("${A:=x}", "unsupported modifier (:=)"),
        ("${NONE:?gone}", "NONE: gone"), ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${NONE?}", "NONE: is not allowed to be unset"),
        ("'a", "matching single-quote"), ('"a', "matching double-quote"),
        ("${A:-x", "missing '}'"), ("${A/x", "missing '/' in ${}"), ("${A:#x}", "unsupported modifier (:#)"),
        ("${A-" * 200 + "}" * 200, "too many substitutions"),
        ("$LONG" * 200, "its variables come to more than 131072 characters"),
        ('"' + "${LONG}" * 200 + '"', "its variables come to more than"),
        ("${LONG//x/$LONG}", "its variables come to more than"),
    ],
)  # fmt: skip
def test_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Lex().expand(text, VARIABLES)
    assert why in caught.value.message
    assert caught.value.message.startswith('failed to process "')


@pytest.mark.parametrize(
    ("text", "words"),
    [("a b", ["a", "b"]), ("$S", ["x", "y"]), ('"$S" c', ["x y", "c"]), (r"a\ b", ["a b"]), ("$NONE", []), ("", [])],
)
def test_words_are_split_after_expansion(text: str, words: list[str]) -> None:
    assert Lex().split(text, VARIABLES) == words


def test_another_escape_character() -> None:
    assert Lex("`").expand(r"C:\`$A", VARIABLES) == r"C:\$A"


def test_what_may_stay() -> None:
    assert Lex(keep_unset=True).expand("$NONE ${NONE} ${NONE:-x} $A", VARIABLES) == "$NONE ${NONE} ${NONE:-x} one"
    assert Lex(raw_quotes=True, raw_escapes=True).expand("'a'\\b\"c\"", VARIABLES) == "'a'\\b\"c\""
    assert Lex(quotes=False).expand('it\'s "$A"', VARIABLES) == 'it\'s "one"'


@given(st.text("a$\\{}:-+?#%/'\"<`A ", max_size=30))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        found = Lex().expand(text, VARIABLES)
    except InvalidArgument:
        found = ""
    assert isinstance(found, str)
