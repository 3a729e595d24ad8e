from __future__ import annotations

import msgspec
import pytest

from services.executor.operations import engine as module
from services.executor.operations.engine import patiently
from shared.errors import Conflict, DeadlineExceeded, Internal, ShoalError, Unavailable
from tests.support.executor_node import Node
from tests.support.simulators.host import platform as simulated


@pytest.mark.parametrize(
    ("errors", "calls"),
    [
        ([], 1),
        ([Unavailable("away"), DeadlineExceeded("slow"), Conflict("busy")], 4),
        ([Internal("broken")], 1),
    ],
)
async def test_patiently(monkeypatch: pytest.MonkeyPatch, errors: list[ShoalError], calls: int) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)
    made = 0

    async def call() -> None:
        nonlocal made
        made += 1
        if errors:
            raise errors.pop(0)

    await patiently("test", call)
    assert made == calls


async def test_the_host_is_asked_once(node: Node) -> None:
    await node.create("true")
    await node.create("true")
    assert node.platform.count("host") == 1


async def test_forwarding_is_looked_at_until_it_is_on(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    off = msgspec.structs.replace(simulated.HOST, features={"ipv4_forwarding": False})
    monkeypatch.setattr(simulated, "HOST", off)
    await node.create("true")
    asked = node.platform.count("host")
    monkeypatch.setattr(simulated, "HOST", msgspec.structs.replace(off, features={"ipv4_forwarding": True}))
    await node.create("true")
    again = node.platform.count("host")
    await node.create("true")
    assert asked < again == node.platform.count("host")


async def test_a_status_is_known_at_once_and_durable_later(node: Node) -> None:
    container_id = await node.run("sleep")
    container = node.executor._engine.registry.get(container_id)
    assert container.status == node.status(container_id)
    revision = container.status_revision
    await node.executor._engine.save(container, container.status)
    assert container.status_revision > revision


async def test_events_say_which_records_show_what_they_tell(node: Node) -> None:
    gone, kept = await node.run("sleep", auto_remove=True), await node.run("sleep")
    for each in (gone, kept):
        node.platform.end(each, 0)
    for each, end in ((gone, "destroy"), (kept, "die")):
        await node.until(lambda each=each, end=end: node.actions(each)[-1] == end)  # type: ignore[misc]
        event = next(event for event in node.events if event.actor == each and event.action == end)
        assert event.node == node.node
        await node.view.reached(event.revision)
        assert (node.spec(each) is None) == (each == gone)
        assert each == gone or node.status(each).state == "exited"
