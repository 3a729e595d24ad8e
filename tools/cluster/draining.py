"""Emptying a host: its containers move to the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from shared.errors import NotFound, ShoalError
from tools.shoal import api, migrate

Container = dict[str, Any]
"""As `GET /containers/json` lists it."""


def containers(path: Path, node: str) -> list[Container]:
    """All that a host has, running or not."""
    wanted = quote(msgspec.json.encode({"node": [node]}))
    listed: list[Container] = api.call(path, "GET", f"/containers/json?all=1&filters={wanted}")
    return listed


def emptied(path: Path, node: str, wanted: dict[str, Any], stays: dict[str, str]) -> Iterator[str]:
    """Moves them one after the other, to where the scheduler would make each now; what to tell meanwhile.

    `wanted`: how (`POST /containers/{id}/migrate`). `stays` gets the reason of each, by id, that does not move. A move
    under way goes on when this is broken off; done again, it takes up what is left.
    """
    for one in containers(path, node):
        name = named(one)
        try:
            for line in _told(path, one["Id"], wanted):
                yield f"{name}: {line}"
        except NotFound:
            yield f"{name}: is gone"
        except ShoalError as error:
            stays[one["Id"]] = error.message
            yield f"{name}: stays: {error.message}"


def _told(path: Path, container: str, wanted: dict[str, Any]) -> Iterator[str]:
    for line in migrate.moved(path, f"/containers/{container}/migrate", wanted):
        if not line.startswith(("   ", "<- ")):
            yield line


def named(one: Container) -> str:
    """A container's name."""
    return str(one["Names"][0]).removeprefix("/")


def remaining(name: str, left: list[Container], stays: dict[str, str] | None = None) -> str:
    """What is on a drained host, and what of the host it holds on to; `stays`: why it did not move, by id."""
    if not left:
        return f"{name} gets no new containers, and has none"
    hint = "" if stays is not None else " None leaves by itself; to move them: --migrate."
    lines = [f"{name} gets no new containers.{hint} It has:"]
    for one in left:
        volumes = [mount["Name"] for mount in one["Mounts"] if mount["Type"] == "volume"]
        bound = f"  volumes: {', '.join(volumes)}" if volumes else ""
        reason = f"  {stays[one['Id']]}" if stays and one["Id"] in stays else ""
        lines.append(f"  {one['Id'][:12]}  {named(one)}  {one['State']}{bound}{reason}")
    return "\n".join(lines)
