from __future__ import annotations

import asyncio
import socket

from services.builder.operations.console import Screen
from shared.contracts.builder import END
from shared.streams.channel import LocalChannel


def pair() -> tuple[LocalChannel, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return LocalChannel(ours), theirs


async def read(sock: socket.socket) -> bytes:
    return await asyncio.get_running_loop().sock_recv(sock, 1 << 16)


async def test_lines_in_order() -> None:
    channel, client = pair()
    screen = Screen(channel, quiet=False)
    screen.show(b"a\n")
    screen.show(b"b\n")
    await screen.end(b"c\n")
    assert (await read(client), screen.used) == (b"a\nb\nc\n" + END, True)
    await screen.close()
    client.close()


async def test_a_quiet_build_that_fails_says_it_all() -> None:
    channel, client = pair()
    screen = Screen(channel, quiet=True)
    screen.show(b"a\n")
    await screen.end(b"why\n", failed=True)
    assert await read(client) == b"a\nwhy\n" + END
    await screen.close()
    client.close()


async def test_a_client_that_is_slow_or_gone() -> None:
    channel, client = pair()
    screen = Screen(channel, quiet=False)
    for _ in range(20):
        screen.show(b"x" * (1 << 20))
    waiting = asyncio.ensure_future(screen.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    client.close()
    await screen.gone.wait()
    await waiting
    await screen.end()
    await screen.close()
