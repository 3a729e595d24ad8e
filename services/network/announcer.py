"""Endpoint records in the store, written behind the calls that change them.

What is on the host is kept on the host (`host_files.Records`); the store tells others. So nobody waits for its
synced writes, an endpoint that lived shorter than the delay is never written, and what a crash kept from being
written is written at the next start.
"""

from __future__ import annotations

import asyncio
import logging

from shared.contracts.network import ENDPOINTS, EndpointRecord
from shared.errors import AlreadyExists, Conflict, ShoalError
from shared.state import State
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)
Key = tuple[str, str]


class Announcer:
    """Brings the store to what was told last of each endpoint; tries again until the store takes it."""

    def __init__(self, state: State, tasks: TaskGroup, delay: float = 0.05, retry_delay: float = 1.0) -> None:
        self._state = state
        self._tasks = tasks
        self._delay, self._retry_delay = delay, retry_delay
        self._wanted: dict[Key, EndpointRecord | None] = {}
        self._stored: set[Key] = set()
        self._running: asyncio.Task[None] | None = None

    def known(self, record: EndpointRecord) -> None:
        """The store has this endpoint already."""
        self._stored.add((record.network_id, record.id))

    def tell(self, record: EndpointRecord) -> None:
        """The endpoint is there, and like this."""
        self._want((record.network_id, record.id), record)

    def retract(self, network_id: str, endpoint_id: str) -> None:
        """The endpoint is gone."""
        self._want((network_id, endpoint_id), None)

    async def settled(self, timeout: float) -> None:
        """Returns when the store has all that was told, or after `timeout` seconds."""
        if self._running is not None:
            await asyncio.wait([self._running], timeout=timeout)

    def _want(self, key: Key, record: EndpointRecord | None) -> None:
        if record is None and key not in self._stored:
            self._wanted.pop(key, None)
            return
        self._wanted[key] = record
        if self._running is None:
            self._running = self._tasks.start(self._write_all(), "announce")

    async def _write_all(self) -> None:
        try:
            delay = self._delay
            while self._wanted:
                await asyncio.sleep(delay)
                delay = await self._write_round()
        finally:
            self._running = None

    async def _write_round(self) -> float:
        """Writes what is wanted now; how long to wait before the next round."""
        round_, self._wanted = self._wanted, {}
        self._stored.update(round_)
        results = await asyncio.gather(*(self._write(key, record) for key, record in round_.items()))
        if all(results):
            return self._delay
        log.warning("the store does not take endpoint records now; trying again")
        return self._retry_delay

    async def _write(self, key: Key, record: EndpointRecord | None) -> bool:
        try:
            if record is None:
                await self._state.delete(ENDPOINTS, *key)
                if key not in self._wanted:
                    self._stored.discard(key)
            else:
                await self._put(key, record)
        except ShoalError:
            self._wanted.setdefault(key, record)
            return False
        return True

    async def _put(self, key: Key, record: EndpointRecord) -> None:
        try:
            await self._state.create(ENDPOINTS, *key, value=record)
        except AlreadyExists:
            entry = await self._state.get(ENDPOINTS, *key)
            if entry is None:
                raise Conflict(f"endpoint {key[1]} changed meanwhile") from None
            if entry.value != record:
                await self._state.update(ENDPOINTS, *key, value=record, revision=entry.revision)
