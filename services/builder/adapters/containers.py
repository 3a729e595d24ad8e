"""The containers of RUN steps, by the executor."""

from __future__ import annotations

import asyncio
import codecs
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from shared.contracts import executor
from shared.contracts.base import Keys
from shared.contracts.container import ContainerConfig, ContainerStatus, HostConfig
from shared.errors import NotFound, ShoalError, Unavailable
from shared.service import Kernel
from shared.state import Entry, View
from shared.streams import Channel
from shared.streams.frames import Deframer

log = logging.getLogger(__name__)

Shown = Callable[[int, str], Awaitable[None]]
"""Told what a process writes: 1 standard output, 2 standard error."""
ENDED = ("exited", "dead")


class Containers:
    """Of one build. `open` ones are those that were made and not removed."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel, self._bus = kernel, kernel.bus
        self._view: View | None = None
        self._opening = asyncio.Lock()
        self.open: dict[str, None] = {}

    async def create(self, config: ContainerConfig, host: HostConfig) -> executor.CreateReply:
        request = executor.CreateRequest(config=config, host_config=host)
        making = self._kernel.tasks.start(self._create(request), "create")
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            with suppress(ShoalError):
                await making  # it may be there already: only who knows its id can remove it
            raise

    async def _create(self, request: executor.CreateRequest) -> executor.CreateReply:
        made = await self._bus.call(executor.CREATE, request)
        self.open[made.id] = None
        return made

    async def run(self, container: str, shown: Shown) -> int:
        """Runs it to its end; the exit code. Raises why it cannot be started, or `Unavailable` when it is lost."""
        view = await self._statuses()
        offer = await self._bus.call(
            executor.ATTACH, executor.AttachRequest(id=container, stdout=True, stderr=True, stream=True)
        )
        channel = await self._kernel.streams.take(offer)
        try:
            started = await self._bus.call(executor.START, executor.StartRequest(id=container))
            await _show(channel, shown)
            await view.reached(started.revision)
        finally:
            channel.close()
        return await self._exit_code(view, container)

    async def _statuses(self) -> View:
        async with self._opening:
            if self._view is None:
                self._view = await self._kernel.state.view(executor.STATUSES)
        return self._view

    async def _exit_code(self, view: View, container: str) -> int:
        ended: asyncio.Future[ContainerStatus] = asyncio.get_running_loop().create_future()

        def look(keys: Keys[Any], parts: tuple[str, ...], entry: Entry[Any] | None) -> None:
            if parts == (container,) and not ended.done():
                if entry is None:
                    ended.set_exception(Unavailable(f"container {container[:12]} was removed while it ran"))
                elif entry.value.state in ENDED:
                    ended.set_result(entry.value)

        forget = view.on_change(look)
        try:
            look(executor.STATUSES, (container,), view.get(executor.STATUSES, container))
            return (await ended).exit_code
        finally:
            forget()

    async def remove(self, container: str) -> None:
        """Kills it if it runs; anonymous volumes go with it. One that is gone is no error."""
        request = executor.RemoveRequest(id=container, force=True, volumes=True)
        try:
            await self._bus.call(executor.REMOVE, request)
        except NotFound:
            pass
        self.open.pop(container, None)

    def keep(self, container: str) -> None:
        """It stays when the build ends."""
        self.open.pop(container, None)

    async def remove_all(self) -> None:
        """Those that are left, whatever they do; what cannot be removed is logged."""
        for container in tuple(self.open):
            try:
                await self.remove(container)
            except ShoalError as error:
                log.warning("container %s of a build is left: %s", container, error)

    def close(self) -> None:
        if self._view is not None:
            self._view.stop()


async def _show(channel: Channel, shown: Shown) -> None:
    """Everything the process writes, to its end, or to where the platform ends: the process goes on without that."""
    deframer = Deframer()
    decoders = {stream: codecs.getincrementaldecoder("utf-8")(errors="replace") for stream in (1, 2)}
    try:
        while data := await channel.read():
            for stream, payload in deframer.feed(data):
                if stream in decoders and (text := decoders[stream].decode(payload)):
                    await shown(stream, text)
    except ConnectionError:
        await shown(2, "the rest of this step's output is lost: the engine's platform service was restarted\n")
    except ValueError:
        raise Unavailable("the output of the container was broken off") from None
    for stream, decoder in decoders.items():
        if text := decoder.decode(b"", True):
            await shown(stream, text)
