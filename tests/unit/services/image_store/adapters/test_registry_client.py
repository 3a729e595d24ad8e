from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.image_store.adapters import registry_client
from services.image_store.adapters.registry_client import RegistryClient, RegistryTrouble, checked
from services.image_store.adapters.registry_wire import Command, Said
from services.image_store.domain.registry_answers import RegistryError
from tests.support.fake_registry import FakeRegistry
from tests.support.waiting import until


@pytest.fixture
async def client() -> AsyncIterator[RegistryClient]:
    made = RegistryClient()
    yield made
    await made.close()


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().served() as made:
        yield made


def ask(client: RegistryClient, registry: FakeRegistry, path: str = "/v2/") -> Command:
    return Command(id=client.number(), do="exchange", url=registry.url + path, patience=5.0, whole=5.0)


def helpers() -> list[int]:
    """Pids of this process's registry helpers."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if (
                f"PPid:\t{os.getpid()}\n" in (each / "status").read_text()
                and b"registry_helper" in (each / "cmdline").read_bytes()
            ):
                found.append(int(each.name))
        except OSError:
            continue
    return found


async def test_questions_at_once_by_one_helper(client: RegistryClient, registry: FakeRegistry) -> None:
    answers = await asyncio.gather(*(client.exchange(ask(client, registry)) for _ in range(20)))
    assert {(said.status, body) for said, body in answers} == {(200, b"{}")}
    assert len(helpers()) == 1
    await client.close()
    assert helpers() == []


async def test_the_helper_is_nobody_and_can_do_nothing(client: RegistryClient, registry: FakeRegistry) -> None:
    await client.exchange(ask(client, registry))
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{helpers()[0]}/status").read_text().splitlines())
    assert status["Uid"].split() == status["Gid"].split() == ["65534"] * 4
    assert status["Groups"].strip() == ""
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


async def test_an_idle_helper_goes_away(
    client: RegistryClient, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_client, "LINGER", 0.05)
    await client.exchange(ask(client, registry))
    await until(lambda: not helpers())
    assert (await client.exchange(ask(client, registry)))[1] == b"{}"


async def test_a_helper_that_died_is_replaced(client: RegistryClient, registry: FakeRegistry) -> None:
    waiting = asyncio.Event()

    async def handler(request: object) -> None:
        waiting.set()
        await asyncio.sleep(60)

    registry.override["GET", "/v2/hang"] = handler  # type: ignore[assignment]
    hanging = asyncio.ensure_future(client.exchange(ask(client, registry, "/v2/hang")))
    await waiting.wait()
    os.kill(helpers()[0], 9)
    with pytest.raises(RegistryError, match="ended too early"):
        await hanging
    assert (await client.exchange(ask(client, registry)))[1] == b"{}"


async def test_what_is_cancelled_ends_in_the_helper_too(client: RegistryClient, registry: FakeRegistry) -> None:
    waiting, gone = asyncio.Event(), asyncio.Event()

    async def handler(request: object) -> None:
        waiting.set()
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()

    registry.override["GET", "/v2/hang"] = handler  # type: ignore[assignment]
    hanging = asyncio.ensure_future(client.exchange(ask(client, registry, "/v2/hang")))
    await waiting.wait()
    hanging.cancel()
    await asyncio.wait_for(gone.wait(), 60)
    assert hanging.cancelled()


def test_answers_that_are_errors() -> None:
    with pytest.raises(RegistryError, match="denied: no") as refused:
        checked(Said(id=1, kind="answer", status=403, text=b"no"))
    assert refused.value.name == "DENIED"
    with pytest.raises(RegistryTrouble) as failed:
        checked(Said(id=1, kind="failure", text=b"Get x: unexpected EOF"))
    assert failed.value.again
    with pytest.raises(RegistryTrouble) as plain:
        checked(Said(id=1, kind="failure", text=b"x", trouble="plain"))
    assert not plain.value.again
    with pytest.raises(OSError, match="No space"):
        checked(Said(id=1, kind="failure", text=b"x", trouble="full"))
