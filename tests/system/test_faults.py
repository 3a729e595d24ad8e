"""Nothing is lost: every engine process is killed, in any order, while containers run and end."""

import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine
from tests.support.namespaces import ruleset
from tests.support.process import running
from tests.support.shoal import EngineProcess, Shoal
from tools.bench.reference import cgroups

pytestmark = [pytest.mark.shoal_only, pytest.mark.timeout(600)]
COUNTERS = 20
ENDING = 5
AGAIN_SECONDS = 10.0
COUNT = "mkfifo /never; exec 3<>/never; i=0; while :; do echo $i; i=$((i+1)); read -t 0.05 -u 3 nothing; done"
"""Waits without a process: fifteen that start one for each number are all that a slow machine can do."""
LOOP = "for n in $0; do docker run -d --name $n busybox sleep 1000 >/dev/null 2>&1; echo $n $?; done"
COUNT_TO_THE_END = "i=0; while [ $i -lt 60 ]; do echo $i; i=$((i+1)); usleep 100000; done; exit %d"


@pytest.fixture
def shoal() -> Iterator[Shoal]:
    """An engine for this test alone."""
    with Shoal() as started:
        yield started


@pytest.fixture
def client(shoal: Shoal) -> Engine:
    engine = Engine(shoal.host, shoal.netns)
    engine.load_busybox()
    return engine


class Clients(threading.Thread):
    """Calls all the time, each again until it is answered; `slowest` is the longest that a call had to be repeated."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        self.slowest = 0.0
        self.calls = 0
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            begin = time.monotonic()
            while not self._answered() and time.monotonic() - begin < 30:
                continue
            self.slowest = max(self.slowest, time.monotonic() - begin)
            self.calls += 1

    def _answered(self) -> bool:
        try:
            return self.engine.call("GET", "/containers/json?all=1", timeout=10).status == 200
        except OSError:
            return False

    def __enter__(self) -> "Clients":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.done.set()
        self.join()


def wait_replaced(shoal: Shoal, killed: EngineProcess) -> None:
    """Until a process of that name runs under another number."""
    deadline = time.monotonic() + 60
    while True:
        found = {each.name: each for each in shoal.processes()}
        now = found.get(killed.name)
        if now and now.pid != killed.pid and all(each.state == "running" for each in found.values()):
            return
        assert time.monotonic() < deadline, f"{killed.name} does not come back: {found}{shoal.logs()}"


def assert_counts(lines: list[str], what: str) -> None:
    """Every number from 0 on, each once, in order."""
    assert lines == [str(number) for number in range(len(lines))], f"{what}: {lines[:5]} ... {lines[-5:]}"


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_every_process_while_containers_count_and_end(shoal: Shoal, client: Engine, seed: int) -> None:
    counters = [client.start("--name", f"counter{n}", IMAGE, "sh", "-c", COUNT) for n in range(COUNTERS - ENDING)]
    ending = {
        client.start("--name", f"ends{n}", IMAGE, "sh", "-c", COUNT_TO_THE_END % (40 + n)): 40 + n
        for n in range(ENDING)
    }
    pids = {name: client.inspect(name)["State"]["Pid"] for name in counters}
    order = [process.name for process in shoal.processes()]
    random.Random(seed).shuffle(order)
    slowest = {}
    for name in order:
        process = next((each for each in shoal.processes() if each.name == name), None)
        if process is None:
            continue  # it rests meanwhile
        with Clients(client) as clients:
            os.kill(process.pid, signal.SIGKILL)
            wait_replaced(shoal, process)
        slowest[name] = clients.slowest
    for identity, code in ending.items():
        assert client.ok("wait", identity, timeout=30) == str(code)
        assert_counts(client.docker("logs", identity).out.splitlines(), identity)
        assert len(client.docker("logs", identity).out.splitlines()) == 60
    for identity in counters:
        state = client.inspect(identity)["State"]
        assert (state["Running"], state["Pid"]) == (True, pids[identity]), "every container went on"
        assert_counts(client.docker("logs", identity).out.splitlines(), identity)
    assert max(slowest.values()) < AGAIN_SECONDS, slowest
    first = client.docker("logs", counters[0]).out
    assert client.ok("exec", counters[0], "echo", "still served") == "still served"
    assert client.docker("logs", counters[0]).out.startswith(first)


def test_kill_all_at_once(shoal: Shoal, client: Engine) -> None:
    counters = [client.start("--name", f"counter{n}", IMAGE, "sh", "-c", COUNT) for n in range(5)]
    ends = client.start("--name", "ends", IMAGE, "sh", "-c", "sleep 1; echo last words; exit 44")
    for process in shoal.processes():
        os.kill(process.pid, signal.SIGKILL)
    shoal.up()
    assert client.ok("wait", ends) == "44"
    assert client.docker("logs", ends).out == "last words\n"
    for identity in counters:
        assert client.inspect(identity)["State"]["Running"] is True
        assert_counts(client.docker("logs", identity).out.splitlines(), identity)


def test_stop_and_start_finds_every_container(shoal: Shoal, client: Engine) -> None:
    runs = client.start("--name", "runs", "-p", "18055:80", IMAGE, "sh", "-c", COUNT)
    ended = client.docker("run", "--name", "ended", IMAGE, "sh", "-c", "echo x; exit 3")
    client.ok("create", "--name", "created", "-v", "kept:/k", IMAGE, "true")
    later = client.start("--name", "later", IMAGE, "sh", "-c", "usleep 500000; echo while you were away; exit 5")
    rows = client.ok("ps", "-a", "--format", "{{.Names}}").splitlines()
    pid = client.inspect(runs)["State"]["Pid"]
    shoal.down()
    assert Path(f"/proc/{pid}").exists()
    shoal.up()
    assert ended.code == 3
    assert client.ok("ps", "-a", "--format", "{{.Names}}").splitlines() == rows
    assert client.inspect(runs)["State"]["Pid"] == pid
    assert client.ok("wait", later) == "5"
    assert client.docker("logs", later).out == "while you were away\n"
    assert_counts(client.docker("logs", runs).out.splitlines(), "runs")
    assert client.ok("port", "runs").startswith("80/tcp -> 0.0.0.0:18055")
    client.ok("start", "-a", "created")
    assert client.ok("volume", "ls", "-q") == "kept"
    assert client.ok("exec", runs, "echo", "x") == "x"
    client.ok("stop", "-t", "0", runs)


def test_restart_policy_holds_over_a_crash(shoal: Shoal, client: Engine) -> None:
    client.start("--name", "always", "--restart", "always", IMAGE, "sh", "-c", "echo run; sleep 1")
    client.start("--name", "stopped", "--restart", "unless-stopped", IMAGE, "sleep", "100")
    client.ok("stop", "-t", "0", "stopped")
    executor = next(each for each in shoal.processes() if each.name == "executor")
    os.kill(executor.pid, signal.SIGKILL)
    wait_replaced(shoal, executor)
    deadline = time.monotonic() + 60
    count = client.docker("logs", "always").out.count("run")
    while client.docker("logs", "always").out.count("run") < count + 2:
        assert time.monotonic() < deadline
    assert client.inspect("stopped")["State"]["Status"] == "exited"


def test_a_log_server_misses_nothing_when_the_platform_dies(shoal: Shoal, client: Engine) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(f"{shoal.root}/log")
        server.settimeout(60)
        options = ["--log-driver", "syslog", "--log-opt", f"syslog-address=unixgram://{shoal.root}/log"]
        client.start("--name", "counts", *options, IMAGE, "sh", "-c", COUNT_TO_THE_END % 0)
        seen: list[str] = []
        while not seen or seen[-1] != "59":
            seen.append(server.recv(999).decode().split()[-1])
            if len(seen) in (10, 30):
                process = next(each for each in shoal.processes() if each.name == "platform")
                os.kill(process.pid, signal.SIGKILL)
    assert_counts(list(dict.fromkeys(seen)), "log server")
    assert_counts(client.docker("logs", "counts").out.splitlines(), "docker logs")


def test_health_checks_go_on_over_crashes(shoal: Shoal, client: Engine) -> None:
    client.start("--name", "checked", "--health-interval", "50ms", "--health-cmd", "true", IMAGE, "sleep", "1000")
    for name in ("executor", "platform"):
        process = next(each for each in shoal.processes() if each.name == name)
        os.kill(process.pid, signal.SIGKILL)
        wait_replaced(shoal, process)
        seen = client.inspect("checked")["State"]["Health"]["Log"]
        begin, deadline = (seen[-1]["Start"] if seen else ""), time.monotonic() + 60
        while not (log := client.inspect("checked")["State"]["Health"]["Log"]) or log[0]["Start"] <= begin:
            assert time.monotonic() < deadline, client.inspect("checked")["State"]
        assert client.inspect("checked")["State"]["Health"]["Status"] == "healthy"
        assert [entry["ExitCode"] for entry in log] == [0] * 5
    assert len(client.inspect("checked")["ExecIDs"] or []) <= 1


def test_rm_of_an_autoremove_container_that_ends_while_the_engine_is_down(shoal: Shoal, client: Engine) -> None:
    identity = client.start("--rm", "--name", "brief", IMAGE, "sleep", "1")
    shoal.down()
    time.sleep(1.5)  # it ends in the meantime: there is nobody to tell
    shoal.up()
    deadline = time.monotonic() + 60
    while client.call("GET", f"/containers/{identity}/json").status != 404:
        assert time.monotonic() < deadline, client.inspect(identity)["State"]


@contextmanager
def nothing_leaks(shoal: Shoal) -> Iterator[None]:
    """Links, firewall rules, mounts, cgroups and monitors are afterwards what they were before."""
    before = settled(shoal)
    assert before["rules"]
    yield
    deadline = time.monotonic() + 60  # the kernel removes a veth pair some time after its namespace
    while difference(before, after := leftovers(shoal)):
        assert time.monotonic() < deadline, difference(before, after)


def settled(shoal: Shoal) -> Mapping[str, Counter[str]]:
    """What there is once removals in the background are done: the same in three looks."""
    seen = [leftovers(shoal) for _ in range(3)]
    while seen[-1] != seen[-3]:
        seen.append(leftovers(shoal))
    return seen[-1]


def difference(before: Mapping[str, Counter[str]], after: Mapping[str, Counter[str]]) -> str:
    """Nothing for what is gone of one container: on a busy machine its removal, begun before, had not come so far."""
    changed = {what: (after[what] - found, found - after[what]) for what, found in before.items()}
    for what in ("bundles", "cgroups", "mounts"):
        changed[what][1].clear()
    return "; ".join(
        f"{what}: new {dict(new)}, gone {dict(gone)}" for what, (new, gone) in changed.items() if new or gone
    )


def leftovers(shoal: Shoal) -> Mapping[str, Counter[str]]:
    """What the kernel holds for this engine. Prepared sandboxes have names drawn by chance: they count by number."""
    root = str(shoal.root)
    links = shoal.inside(["ip", "-o", "link"]).stdout
    mounts = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines() if root in line)
    monitors = subprocess.run(["pgrep", "-f", f"conmon.*{root}"], capture_output=True, text=True, check=False).stdout
    return {
        "links": Counter(
            re.sub("[0-9a-f]{6,}", "*", name) for name in re.findall(r"^\d+: ([^:@]+)", links, re.MULTILINE)
        ),
        "rules": Counter(re.sub(r"counter packets \d+ bytes \d+", "", ruleset(shoal.netns)).splitlines()),
        "mounts": Counter(re.sub(r"/netns/[0-9a-f]+", "/netns/*", mount.removeprefix(root)) for mount in mounts),
        "monitors": Counter(monitors.split()),
        "cgroups": Counter(path.name for path in cgroups(f"{shoal.cgroup}/*") if path.is_dir()),
        "bundles": Counter(
            name
            for _, folders, files in os.walk(root)
            for name in (*folders, *files)
            if re.fullmatch("[0-9a-f]{64}", name)
        ),
    }


def test_nothing_leaks_over_crashes(shoal: Shoal, client: Engine) -> None:
    client.run("-p", "18054:80", IMAGE, "true")
    with nothing_leaks(shoal):
        for _ in range(3):
            client.start("-p", "80", "-v", "vol:/v", "--tmpfs", "/t", IMAGE, "sleep", "1000")
        for name in ("executor", "network", "platform", "volume", "image_store", "gateway", "broker"):
            process = next(each for each in shoal.processes() if each.name == name)
            os.kill(process.pid, signal.SIGKILL)
            wait_replaced(shoal, process)
            assert client.docker("run", "--rm", "-p", "80", IMAGE, "true").code == 0
        client.sweep()


def test_nothing_leaks_of_what_fails_half_way(shoal: Shoal, client: Engine) -> None:
    client.run("-p", "18054:80", IMAGE, "true")
    failing = [
        [IMAGE, "nosuch"],
        ["-u", "bob", IMAGE, "true"],
        ["--device", "/dev/nope", IMAGE, "true"],
        ["-p", "203.0.113.1:80:80", IMAGE, "true"],
        ["--sysctl", "net.ipv4.nope=1", IMAGE, "true"],
        ["-v", "vol:/v", "-w", "/etc/passwd", IMAGE, "true"],
        ["--network", "container:nope", IMAGE, "true"],
    ]
    client.ok("volume", "create", "vol")
    with nothing_leaks(shoal):
        for arguments in failing:
            assert client.docker("run", "--rm", *arguments).code in (125, 126, 127)
    assert client.ok("ps", "-aq") == ""


VICTIMS = ("executor", "platform", "network", "image_store", "volume", "gateway", "broker", "supervisor")


@pytest.mark.parametrize("victim", VICTIMS)
def test_kill_in_the_middle_of_starts(shoal: Shoal, client: Engine, victim: str) -> None:
    """Every start that was answered with success runs; a repeated one succeeds; nothing else is left."""
    client.run(IMAGE, "true")
    with nothing_leaks(shoal):
        names = [f"mid{n}" for n in range(12)]
        loop, environment = ["sh", "-c", LOOP, " ".join(names)], client.environment()
        with running(loop, stdout=subprocess.PIPE, env=environment) as started:
            assert started.stdout is not None
            started.stdout.readline()
            process = next(each for each in shoal.processes() if each.name == victim)
            os.kill(process.pid, signal.SIGKILL)
            answers = dict(line.split() for line in started.stdout.read().decode().splitlines())
        wait_replaced(shoal, process)
        for name, code in answers.items():
            if code == "0":
                assert client.inspect(name)["State"]["Running"] is True, name
            else:
                client.docker("rm", "-f", name)
                assert client.docker("run", "-d", "--name", name, IMAGE, "sleep", "1000").code == 0, name
        client.sweep()
