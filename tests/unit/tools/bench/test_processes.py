import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import running
from tools.bench.processes import ProcessSet, matching, parse, peer, recorded, tree


def test_parse() -> None:
    assert parse("pid:5,match:a.b,match:c,records:/x/*.json") == ProcessSet((5,), "(?:a.b)|(?:c)", ("/x/*.json",))


def test_parse_of_a_pidfile(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("17\n")
    assert parse(f"pidfile:{tmp_path}/pid") == ProcessSet((17,))


@pytest.mark.parametrize("text", ["", "pid:x", "nonsense", "match:", "pid:1;pid:2"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="processes"):
        parse(text)


def test_tree_has_the_children_of_children() -> None:
    script = "import subprocess, sys; subprocess.run(['sh', '-c', 'echo ready; read x; :'])"
    with running([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        found = tree([parent.pid])
        assert len(found) == 2
        assert set(found) < set(tree([os.getpid()]))


def test_matching_by_command_line() -> None:
    script = "echo ready; read x; : 86.4201"
    with running(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as waiting:
        assert waiting.stdout is not None
        waiting.stdout.readline()  # just begun it has no command line yet: descriptors are closed before
        assert matching(": 86[.]4201") == [waiting.pid]
        assert matching("") == []


def test_recorded(tmp_path: Path) -> None:
    for name, pid in (("a", 11), ("b", 12)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"pid": pid}))
    assert sorted(recorded([f"{tmp_path}/*.json"])) == [11, 12]
    assert recorded([f"{tmp_path}/*.nothing"]) == []


def test_costs_of_this_process() -> None:
    own = ProcessSet((os.getpid(),))
    assert os.getpid() in own.pids()
    assert 5 < own.pss() < 5000
    assert own.cpu_seconds() > 0
    assert ProcessSet().pss() == 0


def test_peer_is_who_listens(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "sock"))
        listener.listen()
        assert peer(str(tmp_path / "sock")) == os.getpid()
