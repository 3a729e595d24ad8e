"""Containers move between the hosts of a cluster, by the commands that people type."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Hosts, engines
from tests.support.process import running
from tools.lab.plan import address

CHECKOUT = Path(__file__).parents[2]

pytestmark = [pytest.mark.shoal_only, pytest.mark.timeout(600)]  # three engines begin, on a machine that is busy


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with engines(tmp_path_factory.mktemp("lab"), 3) as made:
        made.load()
        made.init()
        made.join(2)
        made.join(3)
        yield made


def test_a_cold_move_there_and_back(hosts: Hosts) -> None:
    """Everything goes along: what was written and removed, the volume, the log, the name; nothing stays behind."""
    script = "echo begun >> /data/log; echo hello; trap 'exit 0' TERM; while :; do sleep 0.1; done"
    words = ("--name", "web", "--restart", "always", "-v", "data:/data", "busybox", "sh", "-c", script)
    id = hosts.docker(1, "run", "-d", "--label", "shoal.node=node1", *words)
    hosts.docker(
        1, "exec", "web", "sh", "-c", "echo made > /etc/made; rm /bin/false; ln /etc/made /etc/same; mkfifo /f"
    )
    refused = hosts.shoal(1, "migrate", "web", "node2")
    assert refused.returncode == 1
    assert "its address on network bridge is of its host" in refused.stderr
    assert "about" in hosts.shoal_ok(2, "migrate", "web", "node2", "--strategy", "cold", "--dry-run")
    for number, other in ((2, 1), (1, 2)):
        assert "done:" in hosts.shoal_ok(1, "migrate", "web", f"node{number}", "--strategy", "cold")
        for asked in (1, 2):
            assert hosts.docker(asked, "inspect", "web", "-f", "{{.Node.Name}} {{.State.Status}} {{.Id}}") == (
                f"node{number} running {id}"
            )
        for asked in (number, other):  # one that had stayed behind would be told with its host's name
            assert hosts.docker(asked, "volume", "ls", "-q") == "data"
    assert hosts.docker(2, "exec", "web", "cat", "/data/log", "/etc/made", "/etc/same").split() == [
        *["begun"] * 3,
        *["made"] * 2,
    ]
    assert hosts.docker(2, "logs", "web").split() == ["hello"] * 3
    assert "D /bin/false" in hosts.docker(2, "diff", "web")
    hosts.docker(2, "rm", "-f", "-v", "web")
    hosts.docker(1, "volume", "rm", "data")


def test_what_does_not_run_moves_and_another_host_serves_it(hosts: Hosts) -> None:
    hosts.docker(1, "create", "--label", "shoal.node=node1", "--name", "still", "busybox", "true")
    assert "it does not run" in hosts.shoal_ok(2, "migrate", "still", "node2")
    assert hosts.docker(1, "inspect", "still", "-f", "{{.Node.Name}} {{.State.Status}}") == "node2 created"
    hosts.docker(1, "start", "-a", "still")
    hosts.docker(2, "rm", "still")


ECHO = "while :; do nc -l -p 7 -e cat; done"
CLIENT = """mkfifo /a /b; nc echo 7 < /a > /b & exec 3>/a 4</b
i=0; while i=$((i+1)); do echo $i >&3; read x <&4 || exit 1; [ "$x" = "$i" ] || exit 2; echo $i > /n; done"""


def test_a_connection_goes_on_while_its_server_moves(hosts: Hosts) -> None:
    """Over an overlay network, there and back, both ways of moving memory; the client checks every answer."""
    hosts.docker(1, "network", "create", "-d", "overlay", "--attachable", "net")
    label = ("--label", "shoal.node=node1")
    words = ("--cgroupns", "private", "--network", "net", "busybox", "sh", "-c", ECHO)
    hosts.docker(1, "run", "-d", *label, "--name", "echo", *words)
    client = ("--label", "shoal.node=node3", "--name", "client", "--network", "net", "busybox", "sh", "-c", CLIENT)
    hosts.docker(1, "run", "-d", *client)
    for strategy, number in (("copy", 2), ("post-copy", 1)):
        told = hosts.shoal_ok(1, "migrate", "echo", f"node{number}", "--strategy", strategy)
        assert "stood still for" in told
        assert hosts.docker(3, "inspect", "echo", "-f", "{{.Node.Name}} {{.State.Status}}") == f"node{number} running"
        read = 'until n=$(cat /n) && [ -n "$n" ]; do :; done; echo $n'  # it is empty while it is being written
        seen = int(hosts.docker(3, "exec", "client", "sh", "-c", read))
        script = f"until [ 0$(cat /n) -gt {seen + 100} ]; do sleep 0.01; done"
        hosts.docker(3, "exec", "client", "sh", "-c", script)
    assert hosts.docker(1, "inspect", "client", "-f", "{{.State.Status}}") == "running"
    groups = hosts.docker(1, "exec", "echo", "cat", "/proc/1/cgroup").split()
    assert groups
    assert all(line.endswith(":/") for line in groups), groups
    told = hosts.docker(1, "exec", "echo", "sh", "-c", "mknod /kmsg c 1 11; cat /kmsg 2>&1 || cat /dev/null")
    assert "Operation not permitted" in told  # device rules are there after a restore, too
    hosts.docker(1, "rm", "-f", "echo", "client")
    hosts.docker(1, "network", "rm", "net")


def test_logs_and_attach_go_on(hosts: Hosts) -> None:
    """Clients at any host miss no line and see none twice."""
    hosts.docker(1, "network", "create", "-d", "overlay", "lines")
    script = "i=0; while i=$((i+1)); do echo $i; sleep 0.01; done"
    words = ("--label", "shoal.node=node1", "--name", "talks", "--network", "lines", "busybox", "sh", "-c", script)
    hosts.docker(1, "run", "-d", *words)
    commands = {1: "logs -f talks", 2: "attach --no-stdin --sig-proxy=false talks", 3: "logs -f talks"}
    reading = {number: begin(hosts, number, "docker", *words.split()) for number, words in commands.items()}
    for number in (2, 1):
        hosts.shoal_ok(1, "migrate", "talks", f"node{number}")
    hosts.docker(3, "exec", "talks", "sh", "-c", "sleep 0.5")
    hosts.docker(3, "kill", "talks")
    for number, process in reading.items():
        out, _ = process.communicate(timeout=60)
        lines = [int(line) for line in out.split()]
        assert lines == list(range(lines[0], lines[0] + len(lines))), number
        assert len(lines) > 50
    hosts.docker(1, "rm", "talks")
    hosts.docker(1, "network", "rm", "lines")


def begin(hosts: Hosts, number: int, *words: str) -> subprocess.Popen[str]:
    """A program on a host, whose output is read later."""
    command = hosts.lab.host(number).command(words)
    return subprocess.Popen(
        command, env={**os.environ, **hosts.lab.plan.environment(number)}, stdout=subprocess.PIPE, text=True
    )


@contextmanager
def archive_driver(hosts: Hosts, number: int) -> Iterator[None]:
    """A migration driver `archive` on a host, which knows of Shoal only published contracts."""
    home = hosts.lab.plan.home(number)
    state, folder = home / "state", home / "archives"
    folder.mkdir(exist_ok=True)
    environment = {
        "SHOAL_NATS_URL": f"nats://127.0.0.1:{(state / 'broker/port').read_text().strip()}",
        "SHOAL_NKEY": str(state / "keys/migration_driver.nk"),
    }
    node = (state / "node-id").read_text().strip()
    program = str(CHECKOUT / "tests/support/archive_driver.py")
    words = [sys.executable, "-P", program, node, "archive", address(number), str(folder)]
    how: dict[str, Any] = {"env": {**os.environ, **environment}, "stdout": subprocess.PIPE}
    with running(hosts.lab.host(number).command(words), **how) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == b"ready\n"
        yield


def test_another_driver_moves_a_container_by_the_contract_alone(hosts: Hosts) -> None:
    """And what it brought moves on by the engine's own."""
    hosts.docker(1, "network", "create", "-d", "overlay", "drivers")
    script = "i=0; while i=$((i+1)); do echo $i; sleep 0.05; done"
    words = ("--label", "shoal.node=node1", "--name", "counts", "--network", "drivers", "busybox", "sh", "-c", script)
    hosts.docker(1, "run", "-d", *words)
    refused = hosts.shoal(1, "migrate", "counts", "node2", "--driver", "archive")
    assert "no migration driver is called archive on node1" in refused.stderr
    with archive_driver(hosts, 1), archive_driver(hosts, 2):
        assert (
            "has no strategy post-copy"
            in hosts.shoal(1, "migrate", "counts", "node2", "--driver", "archive", "--strategy", "post-copy").stderr
        )
        assert "stood still for" in hosts.shoal_ok(1, "migrate", "counts", "node2", "--driver", "archive")
    where = ("inspect", "counts", "-f", "{{.Node.Name}} {{.State.Status}} {{.RestartCount}}")
    assert hosts.docker(3, *where) == "node2 running 0"
    hosts.shoal_ok(1, "migrate", "counts", "node1")
    assert hosts.docker(3, *where) == "node1 running 0"
    hosts.docker(2, "exec", "counts", "sleep", "0.5")
    hosts.docker(2, "kill", "counts")
    lines = [int(line) for line in hosts.docker(3, "logs", "counts").split()]
    assert lines == list(range(1, 1 + len(lines)))
    hosts.docker(1, "rm", "counts")
    hosts.docker(1, "network", "rm", "drivers")


def test_a_drained_host_is_emptied(hosts: Hosts) -> None:
    """What runs goes on, spread over the others; what cannot move stays, and is told; done again it is no other."""
    hosts.docker(1, "network", "create", "-d", "overlay", "many")
    hosts.shoal_ok(1, "node", "update", "node1", "--availability", "pause")
    hosts.shoal_ok(1, "node", "update", "node3", "--availability", "pause")
    names = ["d1", "d2"]
    for name in names:
        runs = ("busybox", "tail", "-f", "/dev/null")  # a sleep would end: criu interrupts it
        hosts.docker(1, "run", "-d", "--name", name, "--network", "many", *runs)
    hosts.docker(2, "run", "-d", "--name", "bound", "-v", "/tmp:/tmp", "busybox", "sleep", "1000")
    hosts.docker(1, "create", "--name", "still", "--network", "many", "busybox", "true")
    for number in (1, 3):
        hosts.shoal_ok(1, "node", "update", f"node{number}", "--availability", "active")
    told = hosts.shoal(3, "node", "drain", "node2", "--migrate")
    assert told.returncode == 1, told.stdout + told.stderr
    assert "bound: stays: " in told.stdout
    assert "the mount of /tmp on /tmp is of its host" in told.stdout
    where = {name: hosts.docker(1, "inspect", name, "-f", "{{.Node.Name}}") for name in (*names, "still", "bound")}
    assert where.pop("bound") == "node2"
    assert set(where.values()) == {"node1", "node3"}
    for name in names:
        assert hosts.docker(1, "inspect", name, "-f", "{{.State.Status}} {{.RestartCount}}") == "running 0"
    assert hosts.docker(1, "inspect", "still", "-f", "{{.State.Status}}") == "created"
    hosts.docker(1, "rm", "-f", "bound")
    assert "has none" in hosts.shoal_ok(1, "node", "drain", "node2", "--migrate")
    hosts.docker(1, "rm", "-f", *names, "still")
    hosts.shoal_ok(1, "node", "update", "node2", "--availability", "active")
    hosts.docker(1, "network", "rm", "many")
