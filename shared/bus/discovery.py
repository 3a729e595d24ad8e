"""NATS service discovery (ADR-32): `$SRV.PING`, `$SRV.INFO`, `$SRV.STATS`, and the contract on request."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

import msgspec

from shared.bus.transport import Delivery, Subscription, Transport
from shared.clock import now_ns, rfc3339
from shared.contracts.base import DESCRIBE_OPERATION, ROOT, Contract, Endpoint
from shared.contracts.document import document
from shared.errors import ShoalError
from shared.tasks import TaskGroup

VERSION = "0.1.0"


class Discovery:
    """Answers for one instance; the stock `nats micro` command shows it."""

    def __init__(self, transport: Transport, contract: Contract, instance: str, node: str) -> None:
        self._transport, self._contract = transport, contract
        self._document: bytes = b""
        self._identity = {"name": contract.name, "id": instance, "version": VERSION, "metadata": {"node": node}}
        self._stats: dict[str, dict[str, Any]] = {
            endpoint.operation: {"num_requests": 0, "num_errors": 0, "last_error": "", "processing_time": 0}
            for endpoint in contract.endpoints
        }
        self._node, self._started = node, rfc3339(now_ns())
        self._subscriptions: list[Subscription] = []
        self._tasks = TaskGroup("discovery")

    async def open(self) -> None:
        name, instance = self._identity["name"], self._identity["id"]
        answers = {"PING": self._ping, "INFO": self._info, "STATS": self._statistics}
        for verb, make in answers.items():
            for subject in (f"$SRV.{verb}", f"$SRV.{verb}.{name}", f"$SRV.{verb}.{name}.{instance}"):
                await self._answer(subject, make)
        await self._answer(f"{ROOT}.{name}.{DESCRIBE_OPERATION}", self._describe)

    async def _answer(self, subject: str, make: Any) -> None:
        receiver = partial(self._received, make)
        self._subscriptions.append(await self._transport.subscribe(subject, receiver))

    def _received(self, make: Any, delivery: Delivery) -> None:
        if delivery.reply:
            self._tasks.start(self._transport.publish(delivery.reply, make()), "discovery")

    async def close(self) -> None:
        for subscription in self._subscriptions:
            await subscription.drain()
        await self._tasks.close()

    def count(self, operation: str, seconds: float, error: ShoalError | None) -> None:
        """One more request, and how long it took."""
        statistics = self._stats[operation]
        statistics["num_requests"] += 1
        statistics["processing_time"] += int(seconds * 1e9)
        if error is not None:
            statistics["num_errors"] += 1
            statistics["last_error"] = error.kind

    def _describe(self) -> bytes:
        if not self._document:
            self._document = msgspec.json.encode(document(self._contract))
        return self._document

    def _ping(self) -> bytes:
        return msgspec.json.encode({"type": "io.nats.micro.v1.ping_response", **self._identity})

    def _endpoint(self, endpoint: Endpoint[Any, Any]) -> dict[str, Any]:
        queue = {} if endpoint.host_bound else {"queue_group": endpoint.service}
        return {
            "name": endpoint.operation,
            "subject": endpoint.subject(self._node if endpoint.host_bound else ""),
            **queue,
        }

    def _info(self) -> bytes:
        digest = "sha256:" + hashlib.sha256(self._describe()).hexdigest()
        endpoints = [self._endpoint(endpoint) for endpoint in self._contract.endpoints]
        metadata = {"node": self._node, "contract": f"{self._contract.name}.{self._contract.version}", "digest": digest}
        described = {"description": self._contract.summary, "endpoints": endpoints}
        return msgspec.json.encode(
            {"type": "io.nats.micro.v1.info_response", **self._identity, **described, "metadata": metadata}
        )

    def _statistics(self) -> bytes:
        endpoints = [self._endpoint(one) | self._counted(one.operation) for one in self._contract.endpoints]
        head = {"type": "io.nats.micro.v1.stats_response", **self._identity, "started": self._started}
        return msgspec.json.encode({**head, "endpoints": endpoints})

    def _counted(self, operation: str) -> dict[str, Any]:
        statistics = self._stats[operation]
        average = statistics["processing_time"] // max(1, statistics["num_requests"])
        return {**statistics, "average_processing_time": average}
