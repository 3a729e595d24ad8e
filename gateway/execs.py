"""Execs made through this gateway: most are started a moment later, by the same client."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

from shared.contracts.execs import ExecCreateRequest
from shared.errors import ShoalError

MOST = 256


@dataclass
class _Made:
    node: str
    request: ExecCreateRequest | None
    telling: asyncio.Task[ShoalError | None] | None


class Execs:
    """The newest; of others only their executor knows."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, _Made] = OrderedDict()

    def add(
        self,
        exec_id: str,
        node: str,
        request: ExecCreateRequest,
        telling: asyncio.Task[ShoalError | None] | None = None,
    ) -> None:
        """`telling`: its executor is told of it meanwhile; the result is why that refuses."""
        self._made[exec_id] = _Made(node, request, telling)
        if len(self._made) > MOST:
            self._made.popitem(last=False)

    def begin(self, exec_id: str) -> ExecCreateRequest | None:
        """What was asked for; None for one that is not known here, or was begun before."""
        made = self._made.get(exec_id)
        if made is None:
            return None
        request, made.request = made.request, None
        return request

    async def told(self, exec_id: str) -> None:
        """Returns when its executor knows of it; raises what that has against it."""
        made = self._made.get(exec_id)
        if made is not None and made.telling is not None:
            if error := await asyncio.shield(made.telling):
                raise error
            made.telling = None

    def node(self, exec_id: str) -> str:
        """Where it is; empty when that is not known here."""
        made = self._made.get(exec_id)
        return made.node if made else ""
