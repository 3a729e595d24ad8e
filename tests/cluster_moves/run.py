"""Moves back and forth, and what they did to clients."""

from __future__ import annotations

import json
import math
import re
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.cluster import Hosts, engines
from tests.support.debian_images import archive
from tests.support.software import POSTGRES, PYTHON, REDIS

KEYS = 256_000
"""Of 1 kB each."""
SETTLE = 2.0
"""Seconds between two moves."""
LOGIN = {"PGUSER": "postgres", "PGDATABASE": "postgres", "PGPASSWORD": "secret"}
CHECK = """
    select count(*), sum(delta) = (select sum(abalance) from pgbench_accounts)
        and sum(delta) = (select sum(tbalance) from pgbench_tellers)
        and sum(delta) = (select sum(bbalance) from pgbench_branches)
    from pgbench_history
"""
"""How many transactions there are, and whether each has changed all that it changes."""
CLIENT = Path(__file__).with_name("redis_client.py")


@dataclass
class Move:
    """One of them: milliseconds and bytes as the engine told, and the longest gap that the client saw."""

    freeze: float
    total: float
    sent: int
    gap: float = math.nan
    steps: dict[str, float] = field(default_factory=dict)


@dataclass
class Result:
    """`failed`: what a client, or the engine, says went wrong."""

    moves: list[Move]
    counted: str
    failed: str = ""


@contextmanager
def lab() -> Iterator[Hosts]:
    """Three hosts with an overlay network; servers move between the first two, clients are on the third."""
    with tempfile.TemporaryDirectory(prefix="moves") as folder, engines(Path(folder), 3) as hosts:
        hosts.init()
        hosts.join(2)
        hosts.join(3)
        for number, recipe in ((1, REDIS), (1, POSTGRES), (3, PYTHON), (3, POSTGRES)):
            hosts.docker(number, "load", "-q", "-i", str(archive(recipe)))
        hosts.docker(1, "network", "create", "-d", "overlay", "--attachable", "net")
        yield hosts


def on(number: int, name: str) -> tuple[str, ...]:
    return ("--label", f"shoal.node=node{number}", "--network", "net", "--name", name)


def redis(hosts: Hosts, strategy: str, times: int, keys: int = KEYS) -> Result:
    """A server with so many keys of 1 kB, and a client that writes without a pause."""
    server = ("-u", "0", "--entrypoint", "redis-server", REDIS.tags[0], "--save", "", "--protected-mode", "no",
              "--enable-debug-command", "yes")  # fmt: skip
    hosts.docker(1, "run", "-d", *on(1, "redis"), *server)
    _until(hosts, 1, "redis", "redis-cli ping | grep -q PONG")
    if keys:
        said = hosts.docker(1, "exec", "redis", "redis-cli", "DEBUG", "POPULATE", str(keys), "key", "1000")
        if said != "OK":  # redis-cli ends well also when the server refuses
            raise RuntimeError(f"redis has no keys to move: {said}")
    hosts.docker(3, "create", *on(3, "client"), PYTHON.tags[0], "python3", "/client.py", "redis")
    hosts.docker(3, "cp", str(CLIENT), "client:/client.py")
    hosts.docker(3, "start", "client")
    moves, spans, failed = _move(hosts, "redis", strategy, times)
    hosts.docker(3, "exec", "client", "touch", "/stop") if _runs(hosts, "client") else None
    code, said = hosts.docker(3, "wait", "client"), hosts.docker(3, "logs", "client")
    if code == "0":
        told = json.loads(said.splitlines()[-1])
        for move, (begin, end) in zip(moves, spans, strict=True):
            move.gap = max((gap for at, gap in told["gaps"] if begin <= at <= end), default=0.0)
        said = f"{told['answers']} answers"
    else:
        failed = failed or f"client: {code} {said}"
    hosts.docker(1, "rm", "-f", "redis", "client")
    return Result(moves, said, failed)


def postgres(hosts: Hosts, strategy: str, times: int) -> Result:
    """A server with its data in a volume, under pgbench, whose every transaction must be found in the end."""
    known = [word for pair in LOGIN.items() for word in ("-e", "=".join(pair))]
    server = (*known, "-e", "POSTGRES_PASSWORD=secret", "-v", "pg:/var/lib/postgresql/data", POSTGRES.tags[0])
    hosts.docker(1, "run", "-d", *on(1, "pg"), *server)
    _until(hosts, 1, "pg", "psql -h pg -c 'select 1'")
    hosts.docker(1, "exec", "pg", "pgbench", "-q", "-i", "-s", "5")
    bench = ("pgbench", "-h", "pg", "-c", "4", "-T", "3600", "--log", "--log-prefix=/tmp/log")
    hosts.docker(3, "run", "-d", *on(3, "client"), *known, POSTGRES.tags[0], *bench)
    moves, spans, failed = _move(hosts, "pg", strategy, times)
    if _runs(hosts, "client"):
        hosts.docker(3, "kill", "--signal", "ALRM", "client")  # its time is over
    code, told = hosts.docker(3, "wait", "client"), hosts.run(3, "docker", "logs", "client")
    said = told.stdout + told.stderr
    done = re.search(r"actually processed: (\d+)", said)
    if code != "0" or done is None or "number of failed transactions: 0 " not in said:
        return Result(moves, "", failed or f"pgbench: {code} {said}")
    hosts.docker(3, "cp", "client:/tmp", str(hosts.lab.plan.folder / f"pgbench-{strategy}"))
    _longest(hosts.lab.plan.folder / f"pgbench-{strategy}", moves, spans)
    kept = hosts.docker(1, "exec", "pg", "psql", "-Atc", CHECK)
    if kept != f"{done[1]}|t":
        failed = failed or f"{done[1]} transactions were acknowledged; kept, and whether sums agree: {kept}"
    hosts.docker(1, "rm", "-f", "-v", "pg", "client")
    return Result(moves, f"{done[1]} transactions, all kept", failed)


def _longest(logs: Path, moves: list[Move], spans: list[tuple[float, float]]) -> None:
    """The longest transaction of each move, from pgbench's logs: the third field is it in microseconds, the fifth and
    sixth when it ended.
    """
    lines = [line.split() for log in logs.glob("log.*") for line in log.read_text().splitlines()]
    ended = [(int(line[4]) + int(line[5]) / 1e6, int(line[2]) / 1e3) for line in lines]
    for move, (begin, end) in zip(moves, spans, strict=True):
        move.gap = max((took for at, took in ended if begin <= at <= end), default=0.0)


def _runs(hosts: Hosts, name: str) -> bool:
    return hosts.docker(3, "inspect", name, "-f", "{{.State.Status}}") == "running"


def _until(hosts: Hosts, number: int, name: str, check: str) -> None:
    script = f"for i in $(seq 300); do {check} >/dev/null 2>&1 && exit 0; sleep 0.1; done; exit 1"
    hosts.docker(number, "exec", name, "sh", "-c", script)


def _move(hosts: Hosts, name: str, strategy: str, times: int) -> tuple[list[Move], list[tuple[float, float]], str]:
    """There and back; when each began and when what it did to clients was over."""
    moves: list[Move] = []
    spans: list[tuple[float, float]] = []
    for number in range(times):
        time.sleep(SETTLE)
        begin = time.time()
        done = hosts.shoal(1, "migrate", name, f"node{2 - number % 2}", "--strategy", strategy, "--json")
        if done.returncode != 0:
            return moves, spans, done.stderr.strip()
        told = json.loads(done.stdout.splitlines()[-1])["result"]
        sent = told.get("file_bytes", 0) + told.get("memory_bytes", 0)
        moves.append(Move(told["freeze_ms"], told["total_ms"], sent, steps=told["steps"]))
        spans.append((begin, time.time() + 1.0))
    time.sleep(SETTLE)
    return moves, spans, ""


def summary(name: str, result: Result) -> str:
    """A line for each figure: median, 99 of 100, most."""
    failed = f", FAILED: {result.failed}" if result.failed else ""
    lines = [f"{name}: {len(result.moves)} moves, {result.counted}{failed}"]
    for what, values in (
        ("freeze ms", [move.freeze for move in result.moves]),
        ("gap ms", [move.gap for move in result.moves if not math.isnan(move.gap)]),
        ("total ms", [move.total for move in result.moves]),
        ("MB sent", [move.sent / 1e6 for move in result.moves]),
    ):
        if values:
            middle, most = statistics.median(values), max(values)
            lines.append(f"  {what:<10} p50 {middle:8.1f}  p99 {p99(values):8.1f}  max {most:8.1f}")
    names = result.moves[0].steps if result.moves else ()
    medians = {step: statistics.median(move.steps.get(step, 0) for move in result.moves) for step in names}
    return "\n".join([*lines, *(f"    {step:<10} {ms:8.1f}" for step, ms in medians.items())])


def p99(values: Sequence[float]) -> float:
    """The value that 99 of 100 do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * 0.99) - 1)]
