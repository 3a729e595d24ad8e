"""The load: which programs run where, and what they came to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.engine import Engine
from tests.support.software import POSTGRES, REDIS

NETWORK, PASSWORD = "load", "secret"
TIMED_OUT = 124
"""Exit code of `timeout` for a program that it ended."""
_READY = "until pg_isready -qh 127.0.0.1; do sleep 0.1; done; exec pgbench -qiU postgres -h 127.0.0.1 postgres"
_COUNTS = (
    ("transactions", re.compile(r"number of transactions actually processed: (\d+)")),
    ("failed", re.compile(r"number of failed transactions: (\d+)")),
)


@dataclass(frozen=True)
class Client:
    """A program that loads a server until its time is over."""

    name: str
    image: str
    network: str
    command: Sequence[str]
    ends_with: int = 0

    def start(self, engine: Engine) -> None:
        options = (
            "--init",
            "--name",
            self.name,
            "--network",
            self.network,
            "--cpus",
            "0.3",
            "-e",
            f"PGPASSWORD={PASSWORD}",
        )
        engine.start(*options, self.image, *self.command)


@dataclass(frozen=True)
class Outcome:
    """How a client ended."""

    name: str
    good: bool
    counts: str
    output: str


def start_servers(engine: Engine) -> dict[str, str]:
    """PostgreSQL with pgbench's tables, and Redis; the host ports at which they are published."""
    engine.ok("network", "create", NETWORK)
    common = ("--network", NETWORK, "-P")
    engine.start("--name", "pg", *common, "-e", f"POSTGRES_PASSWORD={PASSWORD}", POSTGRES.tags[0])
    engine.start("--name", "redis", *common, REDIS.tags[0])
    engine.ok("exec", "-e", f"PGPASSWORD={PASSWORD}", "pg", "sh", "-c", _READY)
    ports = {name: engine.inspect(name)["NetworkSettings"]["Ports"] for name in ("pg", "redis")}
    return {name: next(iter(found.values()))[0]["HostPort"] for name, found in ports.items()}


def clients(ports: dict[str, str], address: str, seconds: int) -> list[Client]:
    """Of each server one that finds it by name, one that comes through the published port; and such as connect anew."""
    pgbench = ("pgbench", "-U", "postgres", "-n", "-c", "4", "-T", str(seconds))
    redis = ("timeout", "-s", "TERM", str(seconds), "redis-benchmark", "-l", "-q", "-c", "10", "-t", "set,get")
    pg, kv = POSTGRES.tags[0], REDIS.tags[0]
    return [
        Client("pg-by-name", pg, NETWORK, (*pgbench, "-R", "100", "-h", "pg", "postgres")),
        Client("pg-by-port", pg, "host", (*pgbench, "-R", "100", "-h", "127.0.0.1", "-p", ports["pg"], "postgres")),
        Client("pg-by-port-6", pg, "host", (*pgbench, "-R", "100", "-h", "::1", "-p", ports["pg"], "postgres")),
        Client("pg-anew-by-name", pg, NETWORK, (*pgbench, "-R", "20", "-C", "-h", "pg", "postgres")),
        Client(
            "pg-anew-by-port", pg, "host", (*pgbench, "-R", "20", "-C", "-h", address, "-p", ports["pg"], "postgres")
        ),
        Client("redis-by-name", kv, NETWORK, (*redis, "-h", "redis"), TIMED_OUT),
        Client("redis-by-port", kv, "host", (*redis, "-h", address, "-p", ports["redis"]), TIMED_OUT),
    ]


def outcome(engine: Engine, client: Client) -> Outcome:
    """After its end: whether it lost nothing."""
    code = engine.inspect(client.name)["State"]["ExitCode"]
    result = engine.docker("logs", client.name)
    output = result.out + result.err
    counts = {name: int(found.group(1)) for name, pattern in _COUNTS if (found := pattern.search(output))}
    good = code == client.ends_with and not counts.get("failed") and counts.get("transactions", 1) > 0
    shown = ", ".join(f"{name} {count}" for name, count in counts.items())
    return Outcome(client.name, good, f"exit code {code}{', ' if shown else ''}{shown}", output[-1500:])
