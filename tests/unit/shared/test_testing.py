"""The kernel without processes: what services under test stand on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shared.bus import MemoryBroker
from shared.config import Settings
from shared.errors import AlreadyExists, NotFound, Unavailable
from shared.state import MemoryState
from shared.testing import kernel, serving
from tests.support.echo import CONTRACT, ECHO, FAIL, RECORDS, EchoService, Text


async def test_a_kernel_lives_in_its_directory(directory: Path) -> None:
    async with kernel("echo", directory) as made:
        assert (made.node, made.bus.node, made.bus.name) == ("node1", "node1", "echo")
        assert made.settings.state_path == directory / "state"
        assert made.settings.run_path == directory / "run"


async def test_settings_and_node_can_be_given(directory: Path) -> None:
    settings = Settings(run_dir=str(directory / "other"), bridge_name="b0")
    async with kernel("echo", directory, settings=settings, node="node2") as made:
        assert (made.settings, made.node, made.bus.node) == (settings, "node2", "node2")


async def test_kernels_share_a_world_by_broker_and_state(directory: Path) -> None:
    broker, state = MemoryBroker(), MemoryState("echo")
    async with kernel("echo", directory, broker, state) as one, kernel("user", directory, broker, state) as other:
        async with serving(one, CONTRACT, EchoService(one)):
            assert await other.bus.call(ECHO, Text(text="a")) == Text(text="a")
            with pytest.raises(NotFound):
                await other.bus.call(FAIL, Text(text="not_found"))
        await one.state.create(RECORDS, "a", value=Text(text="first"))
        with pytest.raises(AlreadyExists):
            await other.state.create(RECORDS, "a", value=Text(text="second"))


async def test_worlds_are_apart(directory: Path) -> None:
    async with kernel("echo", directory) as one, kernel("user", directory) as other:
        await one.state.create(RECORDS, "a", value=Text())
        assert await other.state.get(RECORDS, "a") is None
        async with serving(one, CONTRACT, EchoService(one)):
            with pytest.raises(Unavailable):
                await other.bus.request_raw(ECHO.subject("node1"), b"{}", patience=0)


async def test_serving_ends_with_its_block(directory: Path) -> None:
    async with kernel("echo", directory) as made:
        async with serving(made, CONTRACT, EchoService(made)):
            assert (await made.bus.request_raw(ECHO.subject("node1"), b"{}")).payload == b"{}"
        with pytest.raises(Unavailable):
            await made.bus.request_raw(ECHO.subject("node1"), b"{}", patience=0)


async def test_an_implementation_that_lacks_an_operation_is_refused(directory: Path) -> None:
    async with kernel("echo", directory) as made:
        with pytest.raises(TypeError, match=r"object has no method for echo\.echo"):
            async with serving(made, CONTRACT, object()):
                pass


async def test_tasks_of_a_kernel_end_with_it(directory: Path) -> None:
    async with kernel("echo", directory) as made:
        task = made.tasks.start(asyncio.Event().wait())
    assert task.cancelled()
