"""The process that speaks HTTP to registries: no root, no capability, no file but those handed to it.

It lives while transfers run and a little longer, so that neither the HTTP library's memory nor what a registry does to
it stays in the service. Commands come in by the socket that is its standard input (`registry_wire`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable

import msgspec

from shared.archive import confine
from shared.errors import ShoalError
from shared.tasks import TaskGroup

from ..domain.registry_answers import RegistryError
from .registry_wire import LONGEST_TEXT, Command, Said, receive_command

Tell = Callable[[Said], None]
MEMORY = 4 << 30
MOST_DESCRIPTORS = 1 << 20
STDIN = 0


def main() -> None:
    """Serves until the other end of standard input closes."""
    os.closerange(3, MOST_DESCRIPTORS)
    confine.limit_memory(MEMORY)
    from . import registry_http  # before root is given up: the library's files may be root's alone

    "".encode("idna")
    confine.become_nobody()
    confine.die_with_parent()  # a change of user would undo it
    logging.basicConfig(level=logging.WARNING)
    try:
        asyncio.run(Server(registry_http.Agent).run())
    finally:
        os._exit(0)  # threads that hang in a write are nothing to wait for


class Server:
    """Takes commands, each in a task of its own."""

    def __init__(self, make: type) -> None:
        self._make = make
        self._channel = socket.socket(fileno=os.dup(STDIN))
        self._channel.setblocking(False)
        self._tasks = TaskGroup("registry")
        self._running: dict[int, asyncio.Task[None]] = {}
        self._full: list[bytes] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        self._agent = self._make()
        loop.add_reader(self._channel.fileno(), self._commands, gone)
        await gone.wait()

    def _commands(self, gone: asyncio.Event) -> None:
        try:
            received = receive_command(self._channel)
        except BlockingIOError:
            return
        except OSError:
            received = None
        if received is None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            gone.set()
            return
        command, file = received
        if command.do == "cancel":
            os.close(file)
            if task := self._running.get(command.id):
                task.cancel()
            return
        self._running[command.id] = self._tasks.start(self._obey(command, file), command.do)

    async def _obey(self, command: Command, file: int) -> None:
        try:
            self._say(await self._answer(command, file))
        finally:
            await self._agent.settled(file)
            os.close(file)
            del self._running[command.id]

    async def _answer(self, command: Command, file: int) -> Said:
        from .registry_trouble import explained

        work = {"exchange": self._agent.exchange, "download": self._agent.download, "upload": self._agent.upload}
        try:
            said: Said = await work[command.do](command, file, self._say)
            return said
        except RegistryError as error:
            trouble = "" if error.again else "final"
            return Said(id=command.id, kind="failure", text=_text(error.message), trouble=trouble, status=error.status)
        except ShoalError as error:
            return Said(id=command.id, kind="failure", text=_text(error.message), trouble="final")
        except asyncio.CancelledError:
            return Said(id=command.id, kind="failure", text=b"cancelled", trouble="final")
        except Exception as error:  # noqa: BLE001  # whatever the library raises is an answer to who waits for one
            kind, text = explained(error)
            if isinstance(error, OSError) and error.errno in (28, 122):
                kind = "full"
            named = f'{command.method.capitalize()} "{command.url}": {text}'
            return Said(id=command.id, kind="failure", text=_text(named), trouble=kind)

    def _say(self, said: Said) -> None:
        """Never waits: progress that finds no room is left out, all else is sent when there is some."""
        packet = msgspec.json.encode(said)
        if self._full:
            if said.kind != "progress":
                self._full.append(packet)
            return
        try:
            self._channel.send(packet)
        except BlockingIOError:
            if said.kind != "progress":
                self._full.append(packet)
                asyncio.get_running_loop().add_writer(self._channel.fileno(), self._catch_up)
        except OSError:
            pass  # the service is gone, and soon this process

    def _catch_up(self) -> None:
        while self._full:
            try:
                self._channel.send(self._full[0])
            except BlockingIOError:
                return
            except OSError:
                self._full.clear()
                break
            self._full.pop(0)
        asyncio.get_running_loop().remove_writer(self._channel.fileno())


def _text(message: str) -> bytes:
    """Short enough for a packet, whatever a registry made it say."""
    return message.encode(errors="replace")[:LONGEST_TEXT]
