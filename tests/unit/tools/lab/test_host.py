import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import FailedPrecondition
from tools.lab.host import Host
from tools.supervisor.records import start_ticks


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    made = Host(tmp_path / "1", "node1")
    yield made
    made.remove()


def test_a_host_has_what_is_its_own(host: Host) -> None:
    host.start()
    told = host.run(
        ["sh", "-c", "hostname; echo $$ >/run/mark; ls /run; wc -l </proc/net/dev; echo $WORD"], {"WORD": "hi"}
    )
    assert told.stdout.splitlines() == ["node1", "mark", "3", "hi"], told.stderr
    for kind in ("net", "mnt", "pid", "uts", "ipc"):
        assert os.readlink(f"/proc/{host.pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
    assert not Path("/run/mark").exists()


def test_a_second_start_changes_nothing(host: Host) -> None:
    host.start()
    pid = host.pid
    host.start()
    assert host.pid == pid


def test_nothing_of_a_killed_host_lives_on(host: Host) -> None:
    host.start()
    host.run(["sh", "-c", f"sleep 4711 >/dev/null 2>&1 & echo disk >{host.folder}/kept"], {})
    pid = host.pid
    inside = [
        int(each.name) for each in Path("/proc").glob("[0-9]*") if _namespace(each) == _namespace(Path(f"/proc/{pid}"))
    ]
    assert len(inside) >= 2
    host.kill()
    host.kill()
    assert not host.running
    assert not [each for each in inside if start_ticks(each)]  # the init, dead, may wait for its parent a moment longer
    with pytest.raises(FailedPrecondition, match="node1 does not run"):
        host.command(["true"])
    host.start()
    assert host.run(["cat", f"{host.folder}/kept"], {}).stdout == "disk\n"


def _namespace(process: Path) -> str:
    try:
        return os.readlink(process / "ns/pid")
    except OSError:
        return ""
