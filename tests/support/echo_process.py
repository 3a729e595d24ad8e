"""`python -m tests.support.echo_process`: the echo service as a process; it prints what happens to it."""

from __future__ import annotations

import os

from shared import config, memory, service
from shared.service import Kernel, serve
from shared.telemetry import annotate
from tests.support.echo import CONTRACT, EchoService, Text


class EchoProcess(EchoService):
    """`any` with the text `lose` loses its connection to the broker for good."""

    async def start(self) -> None:
        print("started", flush=True)

    def at_rest(self) -> bool:
        """Hears nothing of what is sent to it before a file `ECHO_HELD` is removed."""
        print("asked", flush=True)
        while os.path.exists(os.environ.get("ECHO_HELD", "")):
            os.sched_yield()
        return True

    async def close(self) -> None:
        print("closed", flush=True)

    async def wait(self, request: Text) -> Text:
        print(f"waits {request.text}", flush=True)
        return await super().wait(request)

    async def any(self, request: Text) -> Text:
        annotate(container=request.text)
        if request.text == "lose":
            await self._kernel.bus.transport._client._process_err("'Authorization Violation'")  # type: ignore[attr-defined]
        return await super().any(request)


async def build(kernel: Kernel) -> EchoProcess:
    return EchoProcess(kernel)


if __name__ == "__main__":
    service.PATIENCE = 1.0
    if os.environ.get("ECHO_FOLLOWED"):  # it counts as large whatever it does, and others take its place
        service.followed, memory.QUIET, memory.MOST_GROWTH = True, 0.1, -(1 << 40)
    if os.environ.get("ECHO_RESTS"):
        service.followed, service.rested, memory.QUIET = True, lambda: print("rested", flush=True), 0.1
    serve(CONTRACT, build, config.load(), lambda: print("ready", flush=True))
