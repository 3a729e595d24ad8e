"""`python -m tests.moves`: moves Redis to and fro between two platforms while clients write, and tells what it cost.

As root, with `redis-server` on the PATH (Debian's package); hosts, network and clients are all on this machine.
It times the platform's part and a switch of one port: what an engine does besides comes on top. Exit code 1 when a
client got a wrong answer or lost its connection.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from shared.clock import now_ns
from shared.contracts import migration_driver
from shared.contracts.common import Ref
from shared.contracts.platform import CreateRequest, Isolation
from tests.moves.client import Redis
from tests.moves.wire import Wire, inside
from tests.support.moving_hosts import Pair, moving_hosts
from tests.support.platform_host import Host

SERVER = ("redis-server", "--save", "", "--protected-mode", "no", "--enable-debug-command", "yes")


class Client:
    """A client's process, and the gaps it has told."""

    def __init__(self, namespace: str, number: int, keys: int) -> None:
        words = [sys.executable, "-m", "tests.moves.client", namespace, str(number), str(keys)]
        pipe = subprocess.PIPE  # in a session of its own: clients do not take from the engine's share
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, start_new_session=True)
        assert self.process.stdout is not None
        self._lines, self.gaps, self.done = self.process.stdout, [0.0], 0
        assert self._lines.readline() == "ready\n"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._lines:
            kind, value = line.split()
            if kind == "gap":
                self.gaps.append(float(value))
            else:
                self.done = int(value)

    def end(self) -> bool:
        """Whether all its answers were right."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(60) == 0


class Moves:
    """One server that moves."""

    def __init__(self, pair: Pair, wire: Wire, strategy: migration_driver.Strategy) -> None:
        self._pair, self._wire, self._strategy = pair, wire, strategy
        self._source, self._target = pair.a, pair.b
        self._number = 0

    def request(self, host: Host, name: str = "") -> CreateRequest:
        """The server on a host: this machine's own files are its root."""
        made = host.request(*SERVER, name=name, isolation=Isolation(network=self._wire.sandbox(self._number)))
        (root,) = made.rootfs
        options = tuple("lowerdir=/" if option.startswith("lowerdir=") else option for option in root.options)
        return msgspec.structs.replace(made, rootfs=(msgspec.structs.replace(root, options=options),))

    async def start(self) -> str:
        request = self.request(self._source)
        await self._source.service.create(msgspec.structs.replace(request, start=True))
        self._wire.port("s0", True)
        return request.id

    async def move(self, name: str, clients: list[Client]) -> dict[str, float]:
        """One move, with its times in milliseconds and megabytes sent."""
        source, target = self._source.driver, self._target.driver
        before, reference = f"s{self._number}", Ref(id=name)
        self._number += 1
        request = self.request(self._target, name)
        began = now_ns()
        arriving = migration_driver.ReceiveRequest(request=request, strategy=self._strategy)
        wanted = migration_driver.PrecopyRequest(id=name, peer=await target.receive(arriving), strategy=self._strategy)
        for _ in range(2 if self._strategy == "copy" else 1):
            await source.precopy(wanted)
        for client in clients:
            client.gaps = [0.0]
        frozen = (await source.freeze(reference)).frozen_at
        self._wire.port(before, False)
        dump = await source.dump(reference)
        restore = await target.restore(reference)
        self._wire.port(f"s{self._number}", True)
        resumed = (await target.resume(reference)).resumed_at
        settled, _ = await asyncio.gather(target.settle(reference), source.discard(reference))
        ended = now_ns()
        await asyncio.sleep(1)
        self._source, self._target = self._target, self._source
        return {
            "freeze": (resumed - frozen) / 1e6,
            "gap": max(gap for client in clients for gap in client.gaps) * 1e3,
            "dump": dump.dump_ns / 1e6,
            "restore": restore.restore_ns / 1e6,
            "total": (ended - began) / 1e6,
            "MB": settled.bytes / 1e6,
        }


async def run(options: argparse.Namespace) -> int:
    """The exit code."""
    keys = max(1, options.megabytes * 1000)
    with tempfile.TemporaryDirectory(prefix="shl-moves-") as folder:
        wire = Wire(Path(folder))
        try:
            async with moving_hosts() as pair:
                moves = Moves(pair, wire, options.strategy)
                name = await moves.start()
                fill = (b"DEBUG", b"POPULATE", b"%d" % keys, b"key", b"1000")
                await asyncio.to_thread(inside, wire.client, lambda: Redis().ask(*fill))
                clients = [Client(wire.client, number, keys) for number in range(options.clients)]
                await asyncio.sleep(1)
                rows = [told(await moves.move(name, clients)) for _ in range(options.times)]
                summary(rows)
                return 0 if min(client.end() for client in clients) else 1
        finally:
            wire.close()


def told(row: dict[str, float]) -> dict[str, float]:
    print("  ".join(f"{name} {value:8.1f}" for name, value in row.items()), flush=True)
    return row


def summary(rows: list[dict[str, float]]) -> None:
    for name in rows[0]:
        values = sorted(row[name] for row in rows)
        print(f"{name:8} p50 {statistics.median(values):8.1f}  least {values[0]:8.1f}  most {values[-1]:8.1f}")
    print("load", Path("/proc/loadavg").read_text().strip())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.moves", description=__doc__)
    parser.add_argument("--strategy", choices=("post-copy", "copy"), default="post-copy")
    parser.add_argument("--megabytes", type=int, default=256, help="what Redis holds (default 256)")
    parser.add_argument("--times", type=int, default=20, help="moves (default 20)")
    parser.add_argument("--clients", type=int, default=2)
    if not shutil.which("redis-server"):
        parser.error("redis-server is not on the PATH: apt-get install redis-server")
    arguments: Any = parser.parse_args()
    return uvloop.run(run(arguments))


if __name__ == "__main__":
    sys.exit(main())
