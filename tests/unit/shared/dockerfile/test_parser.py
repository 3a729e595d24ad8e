from __future__ import annotations

import dockerfile as reference
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.dockerfile.parser import LONGEST_LINE, Node, parse, parse_heredoc
from shared.errors import InvalidArgument

PIECES = (
    "FROM x", "RUN", "COPY", "ENV", "LABEL", "ARG", "CMD", "ADD", "HEALTHCHECK", "VOLUME", "USER", "SHELL", "EXPOSE",
    "foo", " ", " ", "\t", "\\", "\n", "\n", '"', "'", "=", "a", "b", "$x", "[", '"a"', ",", "]", "--f=1", "--", "#",
    "# escape=`\n", "# syntax=x\n", "`", "\r", "EOF", '"x y"', "k=v", "NONE", "CMD x", "\\\n", "\\ \n", "RUN <<EOF\n",
    "\nEOF\n", 'COPY <<-"E" /d\n\tx\n\tE\n',
)  # fmt: skip
FILES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map("".join)


def ours(text: str) -> object:
    try:
        nodes = parse(text.encode()).nodes
    except InvalidArgument:
        return "refused"
    return [_shown(node) for node in nodes]


def _shown(node: Node) -> tuple[object, ...]:
    values = [each for number, each in enumerate(node.args) if number % 3 != 2] if _threes(node) else list(node.args)
    heredocs = tuple((each.name, each.content) for each in node.heredocs)
    return node.command.upper(), node.json, node.flags, tuple(values), heredocs, node.line


def _threes(node: Node) -> bool:
    return node.command.lower() in ("env", "label")


def theirs(text: str) -> object:
    try:
        commands = reference.parse_string(text)
    except reference.GoParseError:
        return "refused"
    return [
        ((each.cmd or "").upper(), each.json, each.flags, each.value,
         tuple((doc.name, doc.content) for doc in each.heredocs), each.start_line)
        for each in commands
    ]  # fmt: skip


@given(FILES)
@example("FROM x\nRUN a \\\n# comment\n  b\n")
@example("FROM x\nENV a=b \\\n\n c='d e'\n")
@example('FROM x\nHEALTHCHECK --interval=1s CMD ["a", "b"]\nVOLUME ["/a", "/b c"]\n')
@settings(max_examples=400, deadline=None)
def test_as_dockers_own_parser(text: str) -> None:
    assert ours(text) == theirs(text)


def test_continuation_and_comments() -> None:
    parsed = parse(b"\xef\xbb\xbf# hello\nFROM x\nRUN a \\\n  # not this\n\n  b\n")
    assert parsed.nodes[1].args == ("a   b",)
    assert parsed.nodes[1].line == 3
    assert parsed.warnings[0] == "[WARNING]: Empty continuation line found in: RUN a   b\n"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"# only this\n", "file with no instructions"),
        (b"# escape=x\nFROM a", "invalid escape token 'x' does not match ` or \\"),
        (b"# escape=`\n# escape=`\nFROM a", "only one escape parser directive can be used"),
        (b"ENV a\n", "ENV must have two arguments"),
        (b"ENV a=b c\n", 'Syntax error - can\'t find = in "c". Must be of the form: name=value'),
        (b"RUN [1]\n", "when using JSON array syntax, arrays must be comprised of strings only"),
        (b"RUN <<E\nx\n", "unterminated heredoc"),
        (b"RUN " + b"x" * LONGEST_LINE, "dockerfile line greater than max allowed size of 65535"),
        (b"x" * (5 << 20), "larger than"),
        (b"FROM a\n" * 10_001, "more than 10000 instructions"),
    ],
)
def test_what_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse(text)
    assert why in caught.value.message


def test_the_escape_character() -> None:
    parsed = parse(b"# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN x `\n y C:\\\n")
    assert (parsed.escape, parsed.nodes[1].args) == ("`", ("x  y C:\\",))


def test_heredocs() -> None:
    node = parse(b"COPY <<-'A' <<B /d\n\tone\n\tA\ntwo\nB\n").nodes[0]
    first, second = node.heredocs
    assert (first.name, first.expand, first.chomp, first.content, first.text) == ("A", False, True, "\tone\n", "one\n")
    assert (second.name, second.expand, second.chomp, second.text) == ("B", True, False, "two\n")
    assert parse_heredoc("<<") is parse_heredoc("a<b") is parse_heredoc("<<a b") is None
