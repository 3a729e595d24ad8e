"""The helper's own part: commands in, packets out. What it does with registries is in `test_registry_http`."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest

from services.image_store.adapters import registry_helper
from services.image_store.adapters.registry_trouble import Trouble
from services.image_store.adapters.registry_wire import Command, Said, send_command
from services.image_store.domain.registry_answers import RegistryError
from shared.errors import Unknown


class Agent:
    """Does what the method of the command says."""

    async def exchange(self, command: Command, file: int, tell: registry_helper.Tell) -> Said:
        if command.method == "HANG":
            await asyncio.sleep(60)
        if command.method == "TALK":
            for at in range(20_000):
                tell(Said(id=command.id, kind="progress", at=at))
        errors = {
            "REFUSED": RegistryError("r", again=True),
            "UNKNOWN": Unknown("u"),
            "TROUBLE": Trouble("t", "large"),
            "FULL": OSError(28, "No space left on device"),
            "ODD": ValueError("odd"),
        }
        if command.method in errors:
            raise errors[command.method]
        return Said(id=command.id, kind="answer", text=os.pread(file, 100, 0))

    download = upload = exchange

    async def settled(self, file: int) -> None:
        pass


class Link:
    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()

    def send(self, number: int, method: str = "", do: str = "exchange", content: bytes = b"") -> None:
        file = os.memfd_create("x")
        os.write(file, content)
        send_command(self._channel, Command(id=number, do=do, method=method, url="u"), file)  # type: ignore[arg-type]
        os.close(file)

    async def next(self) -> Said:
        return msgspec.json.decode(await self._loop.sock_recv(self._channel, 100_000), type=Said)


@pytest.fixture
async def link(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Link]:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    monkeypatch.setattr(registry_helper, "STDIN", its.fileno())
    server = asyncio.ensure_future(registry_helper.Server(Agent).run())
    await asyncio.sleep(0)
    its.close()
    yield Link(ours)
    ours.close()
    await asyncio.wait_for(server, 60)


async def test_a_command_has_its_file(link: Link) -> None:
    link.send(1, content=b"hello")
    assert await link.next() == Said(id=1, kind="answer", text=b"hello")


@pytest.mark.parametrize(
    ("method", "text", "trouble"),
    [
        ("REFUSED", b"r", ""),
        ("UNKNOWN", b"u", "final"),
        ("TROUBLE", b'Trouble "u": t', "large"),
        ("FULL", b'Full "u": no space left on device', "full"),
        ("ODD", b'Odd "u": odd', ""),
    ],
)
async def test_whatever_is_raised_is_an_answer(link: Link, method: str, text: bytes, trouble: str) -> None:
    link.send(1, method)
    assert await link.next() == Said(id=1, kind="failure", text=text, trouble=trouble)


async def test_commands_run_beside_each_other_and_can_be_cancelled(link: Link) -> None:
    link.send(1, "HANG")
    link.send(2, content=b"second")
    assert (await link.next()).id == 2
    link.send(1, do="cancel")
    assert await link.next() == Said(id=1, kind="failure", text=b"cancelled", trouble="final")


async def test_who_does_not_listen_loses_progress_but_no_answer(link: Link) -> None:
    link.send(1, "TALK", content=b"end")
    await asyncio.sleep(0.3)
    last = await link.next()
    count = 0
    while last.kind == "progress":
        last, count = await link.next(), count + 1
    assert last == Said(id=1, kind="answer", text=b"end")
    assert count < 20_000
