"""Starting the confined helper that unpacks into a container."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shared import telemetry
from shared.errors import Internal, from_kind
from shared.streams import Channel
from shared.tasks import TaskGroup

_BOOT = (
    "import sys; sys.path[:0] = sys.argv[2:]; from services.platform.adapters.extract_helper import main; "
    "main(sys.argv[1])"
)


def _paths() -> list[str]:
    """Where the helper finds this program and its two libraries; it runs without `site`."""
    room = Path(__file__).resolve().parents[3]
    libraries = {str(Path(spec.origin).parents[1]) for name in ("isal", "zstandard")
                 if (spec := find_spec(name)) is not None and spec.origin}  # fmt: skip
    return [str(room), *sorted(libraries)]


async def extract(channel: Channel, options: dict[str, Any]) -> None:
    """Unpacks what comes by the channel; see `extract_helper`. Raises the error that the helper tells.

    The bytes of a local channel go to the helper without passing through this process.
    """
    direct = channel.sock.fileno() if channel.sock is not None else PIPE
    with telemetry.span("extract helper"):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _BOOT, json.dumps(options), *_paths(),
            stdin=direct, stdout=PIPE, cwd="/", env={}, pass_fds=(options["root"], options["top"]),
        )  # fmt: skip
    tasks = TaskGroup("extraction")
    if process.stdin is not None:
        tasks.start(_feed(channel, process.stdin), "feed")
    try:
        assert process.stdout is not None
        answer = await process.stdout.read()
    finally:
        await asyncio.shield(_end(process))
        await tasks.close()
    _check(answer)


async def _feed(channel: Channel, stdin: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, RuntimeError):
        while data := await channel.read():
            stdin.write(data)
            await stdin.drain()
        stdin.close()


async def _end(process: Process) -> None:
    """Returns when the helper is gone, whatever it was doing."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()


def _check(answer: bytes) -> None:
    try:
        said = json.loads(answer)
    except ValueError:
        raise Internal("the extracting helper ended too early") from None
    if "error" in said:
        raise from_kind(str(said.get("kind")), str(said["error"]))
