from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from gateway.build import assemble
from gateway.context import NO_CONTENT, reply
from shared.bus import MemoryBroker
from shared.contracts import executor
from shared.contracts.common import Revision
from shared.errors import NotFound
from shared.state import MemoryState
from shared.state.history import MemoryHistory
from shared.testing import kernel, serving


def test_json_ends_with_a_newline_as_dockers_does() -> None:
    response = reply({"Id": "x"}, 201)
    assert (response.status, response.body) == (201, b'{"Id":"x"}\n')
    assert response.headers == (("Content-Type", "application/json"),)


def test_no_content() -> None:
    assert (NO_CONTENT.status, NO_CONTENT.body) == (204, b"")


async def test_a_call_follows_a_container_that_has_moved(tmp_path: Path) -> None:
    """The executor says where it is now; the revision that comes is of that host's records."""
    broker, state = MemoryBroker(), MemoryState("test")
    state.hosts["node2"] = MemoryState("test")
    async with AsyncExitStack() as stack:
        own = await stack.enter_async_context(kernel("gateway", tmp_path, broker, state))
        for node, answer in (("node1", NotFound("gone", moved_to="node2")), ("node2", Revision(revision=0))):
            made = await stack.enter_async_context(kernel("executor", tmp_path / node, broker, node=node))
            stopping = replace(executor.CONTRACT, endpoints=(executor.STOP,))
            await stack.enter_async_context(serving(made, stopping, _Executor(answer)))
        gateway = await assemble(own, await MemoryHistory.listening(own.bus.transport))
        assert await gateway.call(executor.STOP, executor.StopRequest(id="c"), "node1") == Revision()


class _Executor:
    def __init__(self, answer: Revision | NotFound) -> None:
        self._answer = answer

    async def stop(self, request: executor.StopRequest) -> Revision:
        if isinstance(self._answer, NotFound):
            raise self._answer
        return self._answer
