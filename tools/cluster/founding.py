"""The first hub's beginning: a NATS cluster of one server, which others may join while it runs.

nats-server forms no JetStream cluster of fewer than two servers, but keeps one that has shrunk to one. So another
server helps to form it and is removed from it by the server's own API (`$JS.API.SERVER.REMOVE`); only then is it ended.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from shared.cluster import HUB_DOMAIN, Membership, Peer
from shared.config import Settings
from shared.errors import Unavailable
from shared.hub_operator import HubOperator
from tools.supervisor import broker, hub, keys

HELPER = "helper"
SECONDS = 60.0
PAUSE = 0.05


def found(settings: Settings, membership: Membership) -> None:
    """Makes the data of the first hub; whatever an earlier try has left is removed.

    Raises `Unavailable` where no cluster comes about.
    """
    hub.remove(settings)
    hub.prepare(settings, membership)
    operator = settings.state_path / "keys" / f"{hub.NAME}.nk"
    with tempfile.TemporaryDirectory() as folder:
        routes = [broker.free_port(0), broker.free_port(0)]
        first = _configuration(settings, membership, membership.hub, hub.folder(settings), routes)
        second = _configuration(settings, membership, HELPER, Path(folder), routes[::-1])
        with _running(Path(folder), second), _running(Path(folder), first):
            port = int(first["listen"].rpartition(":")[2])
            try:
                asyncio.run(_shrink(port, operator, membership.hub))
            except TimeoutError:
                raise Unavailable("the first hub has not come to life; is the machine overloaded?") from None


def _configuration(
    settings: Settings, membership: Membership, name: str, store: Path, routes: list[int]
) -> dict[str, Any]:
    """Of one of the two, on loopback only; `routes`: its own port, and the other's."""
    made = broker.common(settings, hub.NAME, HUB_DOMAIN)
    made["jetstream"]["store_dir"] = str(store)
    return {key: value for key, value in made.items() if not key.startswith("log")} | {
        "server_name": name,
        "listen": f"127.0.0.1:{broker.free_port(0)}",
        "accounts": {"$SYS": {"users": [{"nkey": keys.public_key(settings.state_path / "keys", hub.NAME)}]}},
        "cluster": {
            "name": membership.cluster,
            "listen": f"127.0.0.1:{routes[0]}",
            "routes": [f"nats://127.0.0.1:{port}" for port in routes],
        },
    }


@contextmanager
def _running(folder: Path, configuration: dict[str, Any]) -> Iterator[None]:
    path = folder / f"{configuration['server_name']}.json"
    path.write_bytes(msgspec.json.encode(configuration))
    path.chmod(0o600)
    process = subprocess.Popen(
        [broker.program(), "-c", str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


async def _shrink(port: int, operator: Path, name: str) -> None:
    """Removes the helper as soon as the two are a cluster, and returns when one is left of it."""
    async with asyncio.timeout(SECONDS):
        while not broker.accepts(port):  # noqa: ASYNC110  # a server that starts tells nobody
            await asyncio.sleep(PAUSE)
        asked = await HubOperator.connect(port, operator, name)
        try:
            while not await _alone(asked, name):  # noqa: ASYNC110  # nor is it told when a leader is elected
                await asyncio.sleep(PAUSE)
        finally:
            await asked.close()


async def _alone(operator: HubOperator, name: str) -> bool:
    try:
        group = await operator.group()
        if group.leader and group.size > 1:
            await operator.remove(Peer("", HELPER))
    except Unavailable:  # it has just begun
        return False
    return group.leader == name and group.size == 1
