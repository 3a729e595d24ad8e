from __future__ import annotations

import asyncio
import socket

from services.builder.adapters.hangup import on_hang_up
from shared.streams.channel import LocalChannel


async def test_only_a_whole_close_is_one() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    gone = asyncio.Event()
    with on_hang_up(LocalChannel(ours), gone.set):
        theirs.shutdown(socket.SHUT_WR)
        await asyncio.sleep(0)
        assert await asyncio.get_running_loop().sock_recv(ours, 1) == b""
        assert not gone.is_set()
        theirs.close()
        await gone.wait()
    ours.close()
