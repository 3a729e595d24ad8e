from __future__ import annotations

import json

from services.builder.domain import output
from services.builder.domain.output import Console


def test_lines() -> None:
    assert output.stream("a\n") == b'{"stream":"a\\n"}\r\n'
    assert json.loads(output.error("m", 3)) == {"errorDetail": {"code": 3, "message": "m"}, "error": "m"}
    assert json.loads(output.error("m"))["errorDetail"] == {"message": "m"}
    assert json.loads(output.aux("sha256:1")) == {"aux": {"ID": "sha256:1"}}
    assert output.short("sha256:" + "a" * 64) == output.short("a" * 64) == "a" * 12


def test_stages_show_their_lines_one_after_the_other() -> None:
    shown: list[bytes] = []
    console = Console(3, shown.append)
    console.write(1, b"1a")
    console.write(0, b"0a")
    console.finish(1)
    console.write(2, b"2a")
    console.write(0, b"0b")
    assert shown == [b"0a", b"0b"]
    console.finish(0)
    console.write(2, b"2b")
    assert shown == [b"0a", b"0b", b"1a", b"2a", b"2b"]


def test_a_stage_that_failed_is_heard() -> None:
    shown: list[bytes] = []
    console = Console(2, shown.append)
    console.write(1, b"why")
    console.flush(1)
    assert shown == [b"why"]


def test_what_waits_is_bounded() -> None:
    shown: list[bytes] = []
    console = Console(2, shown.append, most=4)
    for line in (b"1234", b"5", b"6"):
        console.write(1, line)
    console.finish(0)
    assert shown == [b"1234", output.stream("(more output was not kept)\n")]
