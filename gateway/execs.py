"""Execs made through this gateway: most are started a moment later, by the same client."""

from __future__ import annotations

from collections import OrderedDict

from shared.contracts.execs import ExecCreateRequest

MOST = 256


class Execs:
    """The newest; of others only their executor knows."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, tuple[str, ExecCreateRequest | None]] = OrderedDict()

    def add(self, exec_id: str, node: str, request: ExecCreateRequest) -> None:
        self._made[exec_id] = (node, request)
        if len(self._made) > MOST:
            self._made.popitem(last=False)

    def begin(self, exec_id: str) -> ExecCreateRequest | None:
        """What was asked for; None for one that is not known here, or was begun before."""
        node, request = self._made.get(exec_id, ("", None))
        if request is not None:
            self._made[exec_id] = (node, None)
        return request

    def node(self, exec_id: str) -> str:
        """Where it is; empty when that is not known here."""
        return self._made.get(exec_id, ("", None))[0]
