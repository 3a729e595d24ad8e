"""A hub's operator: asks its server, as a client of the system account, who belongs to the hubs and who is linked.

Requests go without headers: with any, the server takes a request of the system account for a malformed one.
"""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from shared.bus import Delivery, NatsTransport
from shared.cluster import Peer
from shared.errors import Unavailable

NAME = "hub"
SECONDS = 2.0


class Group(NamedTuple):
    """The hubs' group as one server knows it: this server is one of `peers`."""

    leader: str
    size: int
    peers: tuple[Peer, ...]


class HubOperator:
    """The connection to the hub of this host."""

    def __init__(self, transport: NatsTransport, hub: str) -> None:
        self._transport, self._hub = transport, hub
        self._numbers = itertools.count()
        self._server = ""

    @classmethod
    async def connect(cls, port: int, seed: Path, hub: str) -> HubOperator:
        """To the hub called `hub`, at a port of loopback; waits until it is there."""
        return cls(await NatsTransport.connect(f"nats://127.0.0.1:{port}", NAME, seed), hub)

    async def close(self) -> None:
        await self._transport.close()

    async def group(self) -> Group:
        """Raises `Unavailable` while the server does not serve."""
        data = await self._of_server("JSZ")
        found = data.get("meta_cluster") or {}
        others = tuple(Peer(one["peer"], _known(one["name"])) for one in found.get("replicas") or ())
        return Group(found.get("leader", ""), found.get("cluster_size", 0), (Peer("", self._hub), *others))

    async def remove(self, peer: Peer) -> None:
        """Takes a server out of the group; raises `Unavailable` where nobody can do that now."""
        named = {"peer": peer.name} if peer.name else {"peer_id": peer.id}
        answer = await self._ask("$JS.API.SERVER.REMOVE", named)
        if "error" in answer:
            raise Unavailable(f"{peer.name or peer.id} not removed from the hubs: {answer['error'].get('description')}")

    async def loaded(self) -> float:
        """When the server has read its configuration last, in seconds since the epoch."""
        told = (await self._of_server("VARZ")).get("config_load_time")
        return datetime.fromisoformat(told).timestamp() if told else 0.0

    async def linked(self) -> dict[int, str]:
        """The brokers that are linked with this server: what they call themselves, by connection."""
        found = (await self._of_server("LEAFZ")).get("leafs") or ()
        return {one["id"]: one["name"] for one in found}

    async def cut(self, connection: int) -> None:
        """Ends a link."""
        await self._ask(f"$SYS.REQ.SERVER.{self._server}.KICK", {"cid": connection})

    async def _of_server(self, what: str) -> dict[str, Any]:
        answer = await self._ask(f"$SYS.REQ.SERVER.PING.{what}", {"server_name": self._hub, "exact_match": True})
        self._server = answer.get("server", {}).get("id", "")
        found: dict[str, Any] = answer.get("data") or {}
        return found

    async def _ask(self, subject: str, asked: dict[str, Any]) -> dict[str, Any]:
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def receive(delivery: Delivery) -> None:
            if not answered.done():
                answered.set_result(delivery.payload)

        inbox = f"{self._transport.inbox}.{next(self._numbers)}"
        subscription = await self._transport.subscribe(inbox, receive)
        try:
            await self._transport.publish(subject, msgspec.json.encode(asked), reply=inbox)
            async with asyncio.timeout(SECONDS):
                found: dict[str, Any] = msgspec.json.decode(await answered or b"{}")
            return found
        except TimeoutError:
            raise Unavailable(f"the hub does not answer {subject}") from None
        finally:
            await subscription.drain()


def _known(name: str) -> str:
    """The server writes a sentence where it does not know a name."""
    return "" if " " in name else name
