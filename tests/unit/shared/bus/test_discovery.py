"""Discovery as ADR-32 has it, in both worlds."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec
import pytest

from shared.bus import Bus
from shared.bus.discovery import Discovery
from shared.contracts.document import document
from shared.errors import NotFound
from shared.testing import serving
from tests.support.echo import CONTRACT, ECHO, FAIL, EchoService, Text


class Asker:
    """Asks a subject and gives the one answer, decoded."""

    def __init__(self, bus: Bus, instance: str) -> None:
        self.bus, self.instance = bus, instance

    async def __call__(self, subject: str) -> Any:
        reply = await self.bus.request_raw(subject.replace("INSTANCE", self.instance), b"")
        return msgspec.json.decode(reply.payload)


@pytest.fixture
async def asked(world):
    kernel = await world.kernel()
    async with serving(kernel, CONTRACT, EchoService(kernel)) as server:
        yield Asker(await world.bus(), server.instance)


@pytest.mark.parametrize("verb", ["PING", "INFO", "STATS"])
@pytest.mark.parametrize("tail", ["", ".echo", ".echo.INSTANCE"])
async def test_every_question_is_answered_in_the_form_of_the_adr(asked, verb, tail):
    answer = await asked(f"$SRV.{verb}{tail}")
    assert answer["type"] == f"io.nats.micro.v1.{verb.lower()}_response"
    assert (answer["name"], answer["id"]) == ("echo", asked.instance)
    assert answer["version"].count(".") == 2
    assert answer["metadata"]["node"] == "node1"


async def test_information_names_subjects_and_the_digest_of_the_contract(asked):
    answer = await asked("$SRV.INFO.echo")
    endpoints = {one["name"]: one for one in answer["endpoints"]}
    assert endpoints["echo"]["subject"] == "shoal.v1.echo.node1.echo"
    assert endpoints["any"] == {**endpoints["any"], "subject": "shoal.v1.echo.any", "queue_group": "echo"}
    reply = await asked.bus.request_raw("shoal.v1.echo.contract", b"")
    assert answer["metadata"]["digest"] == "sha256:" + hashlib.sha256(reply.payload).hexdigest()
    assert msgspec.json.decode(reply.payload) == document(CONTRACT)


async def test_statistics_count_requests_and_errors(asked):
    for _ in range(3):
        await asked.bus.call(ECHO, Text())
    with pytest.raises(NotFound):
        await asked.bus.call(FAIL, Text(text="not_found"))
    answer = await asked("$SRV.STATS.echo")
    endpoints = {one["name"]: one for one in answer["endpoints"]}
    assert (endpoints["echo"]["num_requests"], endpoints["echo"]["num_errors"]) == (3, 0)
    assert (endpoints["fail"]["num_errors"], endpoints["fail"]["last_error"]) == (1, "not_found")
    assert endpoints["echo"]["processing_time"] >= 3 * endpoints["echo"]["average_processing_time"] > 0
    assert answer["started"].endswith("Z")


async def test_all_instances_answer(world):
    kernels = [await world.kernel(node=node) for node in ("node1", "node2", "node3")]
    bus = await world.bus()
    nodes: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    inbox = f"{bus.transport.inbox}.many.1"
    await bus.transport.subscribe(inbox, lambda one: nodes.put_nowait(msgspec.json.decode(one.payload)["metadata"]))
    for kernel in kernels:
        discovery = Discovery(kernel.bus.transport, CONTRACT, kernel.node, kernel.node)
        await discovery.open()
        await kernel.bus.transport.flush()
    await bus.transport.publish("$SRV.PING", b"", reply=inbox)
    assert {(await nodes.get())["node"] for _ in kernels} == {"node1", "node2", "node3"}
