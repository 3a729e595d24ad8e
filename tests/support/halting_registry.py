"""A registry that stops in the middle of a large layer: `python -m tests.support.halting_registry`.

It prints the port it listens on, then a line for each request of that layer: `asked` with the range that was asked for.
The first is held after half of the bytes; all later ones get what they ask for.
"""

from __future__ import annotations

import asyncio
import random

from aiohttp import web

from tests.support.fake_registry import DOCKER_MANIFEST, FakeRegistry
from tools import images

SIZE = 8 << 20


async def main() -> None:
    async with FakeRegistry().served() as registry:
        content = random.Random(1).randbytes(SIZE)
        layer = images.tar([images.entry("large", content)])
        document = registry.manifest("a", images.Image((*images.busybox().layers, layer)), "none")
        registry.add_manifest("a", "1", document, DOCKER_MANIFEST)
        digest, asked = images.digest(layer), 0

        async def handler(request: web.Request) -> web.StreamResponse:
            nonlocal asked
            asked += 1
            print("asked", request.headers.get("Range", "all"), flush=True)
            if asked > 1:
                return await registry._blob(request, "a", digest)
            response = web.StreamResponse()
            response.content_length = len(layer)
            await response.prepare(request)
            await response.write(layer[: SIZE // 2])
            await asyncio.sleep(600)
            return response

        registry.override["GET", f"/v2/a/blobs/{digest}"] = handler
        print("port", registry.port, flush=True)
        await asyncio.sleep(600)


if __name__ == "__main__":
    asyncio.run(main())
