"""Clients that wait for their workload, and streams that nobody takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.platform.adapters import attachments
from services.platform.adapters.attachments import Attachments
from shared.contracts.common import Ref
from shared.contracts.platform import ExecRequest, Process
from tests.support.platform_host import Host, everything, frames


@pytest.fixture
async def waiting() -> AsyncIterator[Attachments]:
    made = Attachments()
    yield made
    await made.close()


async def test_those_who_wait_are_let_go(waiting: Attachments) -> None:
    clients = [asyncio.ensure_future(waiting.wait("c")) for _ in range(2)]
    await asyncio.sleep(0)
    waiting.dismiss("other")
    assert not any(client.done() for client in clients)
    waiting.dismiss("c")
    assert await asyncio.gather(*clients) == [None, None]


async def test_a_client_that_gives_up_is_forgotten(waiting: Attachments) -> None:
    client = asyncio.ensure_future(waiting.wait("c"))
    await asyncio.sleep(0)
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client
    assert not waiting._waiting.get("c")


async def test_a_start_waits_for_the_client_that_was_offered_a_stream(host: Host) -> None:
    request = host.request("echo", "first words")
    offered = host.linux.attachments.offered(request.id)
    await host.service.create(request)
    starting = asyncio.ensure_future(host.service.start(Ref(id=request.id)))
    await asyncio.sleep(0.05)
    assert not starting.done()
    channel = await host.attach(request.id)
    await asyncio.sleep(0.1)  # the stream is taken by another task, which joins the monitor before it tells
    offered()
    await starting
    assert frames(await everything(channel)) == [(1, b"first words\n")]


async def test_a_start_does_not_wait_for_who_is_gone(host: Host) -> None:
    request = host.request("true")
    host.linux.attachments.offered(request.id)
    await host.service.create(request)
    starting = asyncio.ensure_future(host.service.start(Ref(id=request.id)))
    await asyncio.sleep(0.05)
    assert not starting.done()
    host.linux.attachments.gone()
    await starting
    assert await host.code(request.id) == 0


async def test_a_start_does_not_wait_for_ever(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(attachments, "TAKE_SECONDS", 0.01)
    request = host.request("true")
    host.linux.attachments.offered(request.id)
    await host.service.create(request)
    await host.service.start(Ref(id=request.id))
    assert await host.code(request.id) == 0
    assert "starts without a client" in caplog.text


async def test_an_exec_whose_stream_nobody_takes_is_not_held_up(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "OFFER_SECONDS", 0.05)
    name = await host.run("sleep", "100")
    host.exits["e"] = asyncio.get_running_loop().create_future()
    process = Process(args=("/bin/head", "-c", "3000000", "/dev/zero"))
    await host.service.exec(ExecRequest(id=name, exec_id="e", process=process))
    assert await host.code("e") == 0
