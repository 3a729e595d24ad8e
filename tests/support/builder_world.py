"""The builder with a real image store beside it; RUN steps run in simulated containers, which change no file."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from services.builder.service import BuilderService
from services.image_store.service import ImageStoreService
from shared.bus import MemoryBroker
from shared.contracts import builder, executor, image_store
from shared.contracts.common import Revision
from shared.service import Kernel
from shared.state import MemoryState
from shared.streams import Streams
from shared.testing import kernel, serving
from tests.support.parties import as_far_as
from tests.support.simulators.executor import ExecutorSimulator
from tools import images

Line = dict[str, Any]
BASE = images.Image(
    (
        images.tar([
            images.directory("etc", 0o755),
            images.entry("etc/passwd", images.PASSWD.encode()),
            images.entry("etc/group", images.GROUP.encode()),
            images.directory("usr", 0o711),
            images.symlink("link", "usr"),
            images.entry("file", b"of the base", mode=0o640, uid=7, gid=8),
        ]),
    ),
    {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
    ("busybox:latest",),
)  # fmt: skip


class Containers(ExecutorSimulator):
    """Containers with a snapshot; a shell's command is split at its blanks: `echo`, `exit`, `sleep`, `true`."""

    async def create(self, request: executor.CreateRequest) -> executor.CreateReply:
        words = (request.config.cmd or ("true",))[-1].split() or ["true"]
        config = msgspec.structs.replace(request.config, entrypoint=None, cmd=tuple(words))
        made = await super().create(msgspec.structs.replace(request, config=config))
        prepare = image_store.PrepareRequest(key=made.id, reference=request.config.image)
        await self._kernel.bus.call(image_store.PREPARE, prepare)
        return made

    async def start(self, request: executor.StartRequest) -> Revision:
        """The stream that a build was offered before is joined first, as the platform does it."""
        if any(isinstance(call, executor.AttachRequest) and call.id == request.id for call in self.calls):
            await self._machine(request.id).joined.wait()
        return await super().start(request)


@dataclass
class World:
    """One host. `lines`: what the last build showed."""

    user: Kernel
    containers: Containers
    builder: BuilderService
    kernel: Kernel
    lines: list[Line] = field(default_factory=list)

    async def load(self, image: images.Image) -> None:
        offer = await self.user.bus.call(image_store.LOAD, image_store.LoadRequest())
        assert b"Loaded" in await transfer(self.user.streams, offer, images.docker_archive(image))

    async def build(self, text: str, files: Mapping[str, bytes] | None = None, **request: Any) -> list[Line]:
        """Builds to the end; the lines."""
        named = {"Dockerfile": text.encode(), **(files or {})}
        return await self.send(images.tar([images.entry(name, data) for name, data in named.items()]), **request)

    async def send(self, context: bytes, **request: Any) -> list[Line]:
        offer = await self.user.bus.call(builder.BUILD, builder.BuildRequest(**request))
        answer = await transfer(self.user.streams, offer, context)
        self.lines = [json.loads(line) for line in answer.splitlines() if line]
        return self.lines

    @property
    def text(self) -> str:
        """All that was shown for people."""
        return "".join(line.get("stream", "") for line in self.lines)

    @property
    def error(self) -> str:
        assert self.lines, "nothing was shown"
        message: str = self.lines[-1].get("error", "")
        return message

    async def built(self, text: str, files: Mapping[str, bytes] | None = None, **request: Any) -> image_store.Image:
        """The image of a build that has to succeed."""
        await self.build(text, files, **request)
        assert not self.error, self.lines
        return await self.image(self.text.partition("Successfully built ")[2].split()[0])

    async def image(self, reference: str) -> image_store.Image:
        return await self.user.bus.call(image_store.RESOLVE, image_store.ResolveRequest(reference=reference))

    async def files(self, image: image_store.Image) -> dict[str, tarfile.TarInfo]:
        """What an image holds, by path."""
        offer = await self.user.bus.call(image_store.CONTENTS, image_store.ContentsRequest(image=image.id))
        with tarfile.open(fileobj=io.BytesIO(await transfer(self.user.streams, offer, b""))) as archive:
            return {each.name: each for each in archive.getmembers()}


async def transfer(streams: Streams, offer: Any, data: bytes) -> bytes:
    """Sends into a stream; what came back, to its end."""
    channel = await streams.take(offer)

    async def send() -> None:
        try:
            for start in range(0, len(data), 1 << 16):
                await channel.write(data[start : start + (1 << 16)])
            await channel.write_eof()
        except ConnectionError:
            pass  # it has seen enough

    async def receive() -> bytes:
        answer = b""
        while piece := await channel.read():
            answer += piece
        return answer

    _, answer = await asyncio.gather(send(), receive())
    channel.close()
    return answer


@asynccontextmanager
async def builder_world(directory: Path) -> AsyncIterator[World]:
    """All of it is gone after the block."""
    broker, state = MemoryBroker(), MemoryState("test")
    async with AsyncExitStack() as stack:
        made = {
            name: await stack.enter_async_context(kernel(name, directory, broker, state))
            for name in ("image_store", "executor", "builder", "tool")
        }
        store, containers = ImageStoreService(made["image_store"]), Containers(made["executor"])
        await store.start()
        stack.push_async_callback(store.close)
        service = BuilderService(made["builder"])
        await stack.enter_async_context(serving(made["image_store"], image_store.CONTRACT, store))
        simulated = as_far_as(executor.CONTRACT, containers)
        await stack.enter_async_context(serving(made["executor"], simulated, containers))
        await service.start()
        await stack.enter_async_context(serving(made["builder"], builder.CONTRACT, service))
        world = World(made["tool"], containers, service, made["builder"])
        await world.load(BASE)
        yield world
        await service.close()
