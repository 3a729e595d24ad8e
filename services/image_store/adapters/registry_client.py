"""The service's end of the registry helper: started when it is needed, ended a little after."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import msgspec

from shared import telemetry

from ..domain import registry_answers
from ..domain.registry_answers import RegistryError
from ..domain.registry_auth import challenges
from .registry_wire import Command, Said, receive_said, send_command

LINGER = 10.0
"""Seconds that an idle helper waits for more work."""
_BOOT = (
    "import sys; sys.path[:0] = sys.argv[1:]; from services.image_store.adapters.registry_helper import main; main()"
)
_PASSED_ON = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
              "SSL_CERT_FILE", "SSL_CERT_DIR")  # fmt: skip
_PACKETS = 4 << 20
Told = Callable[[int], Awaitable[None]]
"""Told how many bytes have passed."""


class Helper:
    """One process; its end ends what waits for it."""

    def __init__(self, process: Process, channel: socket.socket) -> None:
        self._process, self._channel = process, channel
        self._waiting: dict[int, asyncio.Queue[Said | None]] = {}
        self.alive = True
        asyncio.get_running_loop().add_reader(channel.fileno(), self._receive)

    @classmethod
    async def start(cls, environment: Mapping[str, str]) -> Helper:
        """Raises `OSError` when no process can be made."""
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with telemetry.span("registry helper"), its:
            ours.setblocking(False)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-c", _BOOT, *_paths(), stdin=its.fileno(), stdout=DEVNULL, cwd="/",
                env={name: environment[name] for name in _PASSED_ON if name in environment},
            )  # fmt: skip
        return cls(process, ours)

    def _receive(self) -> None:
        try:
            while (said := receive_said(self._channel)) is not None:
                if (queue := self._waiting.get(said.id)) is not None:
                    queue.put_nowait(said)
        except BlockingIOError:
            return
        except (OSError, msgspec.DecodeError):
            pass  # a helper that cannot be understood is of no use
        self._gone()

    def _gone(self) -> None:
        if self.alive:
            self.alive = False
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._channel.close()
            for queue in self._waiting.values():
                queue.put_nowait(None)

    async def do(self, command: Command, file: int, told: Told | None) -> Said:
        """The last word on a command. Cancelled, it cancels the command."""
        queue = self._waiting[command.id] = asyncio.Queue()
        try:
            await self._send(command, file)
            while (said := await queue.get()) is not None:
                if said.kind != "progress":
                    return said
                if told is not None:
                    await told(said.at)
            raise RegistryError("the registry helper ended too early")
        except asyncio.CancelledError:
            with suppress(OSError):
                send_command(self._channel, Command(id=command.id, do="cancel"), file)
            raise
        finally:
            del self._waiting[command.id]

    async def _send(self, command: Command, file: int) -> None:
        while True:
            try:
                send_command(self._channel, command, file)
                return
            except BlockingIOError:
                await asyncio.sleep(0.01)  # a hundred commands wait already
            except OSError:
                raise RegistryError("the registry helper ended too early") from None

    async def end(self) -> None:
        """Returns when the process is gone."""
        self._gone()
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


class RegistryClient:
    """Does commands by a helper that is there while there is work."""

    def __init__(self, start: Callable[[Mapping[str, str]], Awaitable[Helper]] = Helper.start) -> None:
        self._start = start
        self._helper: Helper | None = None
        self._starting = asyncio.Lock()
        self._users = 0
        self._idle: asyncio.TimerHandle | None = None
        self._numbers = count(1)
        self._ending: set[asyncio.Future[None]] = set()

    def number(self) -> int:
        """The id of the next command."""
        return next(self._numbers)

    async def exchange(self, command: Command, body: bytes = b"") -> tuple[Said, bytes]:
        """A short question; the answer with its body. Raises `RegistryError` for a status of failure."""
        sheet = os.memfd_create("body", os.MFD_CLOEXEC)
        try:
            os.write(sheet, body)
            said = await self._do(command, sheet, None)
            return said, os.pread(sheet, os.fstat(sheet).st_size, 0)
        finally:
            os.close(sheet)

    async def transfer(self, command: Command, file: int, told: Told | None) -> Said:
        """Down or up; raises as `exchange`."""
        return await self._do(command, file, told)

    async def _do(self, command: Command, file: int, told: Told | None) -> Said:
        self._users += 1
        try:
            helper = await self._present()
            return checked(await helper.do(command, file, told))
        finally:
            self._users -= 1
            self._rest()

    async def _present(self) -> Helper:
        if self._idle is not None:
            self._idle.cancel()
        async with self._starting:
            if self._helper is None or not self._helper.alive:
                if self._helper is not None:
                    await self._helper.end()
                self._helper = await self._start(os.environ)
            return self._helper

    def _rest(self) -> None:
        """Ends the helper later, unless more comes."""
        if not self._users and self._helper is not None:
            if self._idle is not None:
                self._idle.cancel()
            self._idle = asyncio.get_running_loop().call_later(LINGER, self._retire)

    def _retire(self) -> None:
        helper, self._helper = self._helper, None
        if helper is not None and not self._users:
            ending = asyncio.ensure_future(helper.end())  # noqa: TID251  # kept below, and it cannot fail
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        else:
            self._helper = helper

    async def close(self) -> None:
        """Ends the helper now."""
        if self._idle is not None:
            self._idle.cancel()
        helper, self._helper = self._helper, None
        if helper is not None:
            await helper.end()


def checked(said: Said) -> Said:
    """The answer itself, when it is a good one. Raises `RegistryError`, and `OSError` for a full disk."""
    if said.kind == "failure":
        text = said.text.decode(errors="replace")
        if said.trouble == "full":
            raise OSError(28, "No space left on device")
        raise RegistryTrouble(text, said.trouble, said.status)
    if said.status >= 400:
        headers = said.headers
        raise registry_answers.refusal(
            said.status, said.reason, headers.get("content-type", ""), said.text,
            challenges((headers.get("www-authenticate", ""),)), headers.get("retry-after", ""),
        )  # fmt: skip
    return said


class RegistryTrouble(RegistryError):
    """There was no answer, or one of the token service (`status`) instead; `trouble` as in `Said`."""

    def __init__(self, message: str, trouble: str, status: int = 0) -> None:
        again = trouble not in ("final", "large", "plain")
        super().__init__(message, again=again, status=status, of_login=status != 0)
        self.trouble = trouble


def _paths() -> list[str]:
    """Where the helper finds this program and its libraries; it runs without `site`."""
    room = Path(__file__).resolve().parents[3]
    found = {str(Path(spec.origin).parents[1]) for name in ("aiohttp", "isal", "msgspec")
             if (spec := find_spec(name)) is not None and spec.origin}  # fmt: skip
    return [str(room), *sorted(found)]
