"""The helper seen from outside: what the kernel says about its process once it has read an archive."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from services.image_store.adapters.unpack_client import HelperSession
from shared.archive import confine
from tools.images import entry, tar

STANDARD_ERROR = "2"


async def archive() -> AsyncIterator[bytes]:
    yield tar([entry("a", b"x")])


async def test_it_has_nothing_that_unpacking_does_not_need(session: HelperSession) -> None:
    await session.spool(archive())
    (pid,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    process = Path("/proc") / pid
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    allowed = sum(1 << number for number in (*confine.WRITING, confine.CAP_SYS_CHROOT))
    assert int(status["CapEff"], 16) & ~allowed == 0
    assert int(status["CapBnd"], 16) & ~allowed == 0
    assert status["NoNewPrivs"] == "1"
    assert os.readlink(process / "root") == str(session.path("."))
    assert os.readlink(process / "ns/net") != os.readlink("/proc/self/ns/net")
    assert (process / "environ").read_bytes() == b""


async def test_it_holds_no_file_of_the_service(session: HelperSession) -> None:
    await session.spool(archive())
    (pid,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    folder = Path("/proc") / pid / "fd"
    held = {path.name: os.readlink(path) for path in folder.iterdir()}
    held.pop(STANDARD_ERROR)
    assert set(held) == {"0", "1"}, held
    assert not any(target.startswith("/") for target in held.values())
