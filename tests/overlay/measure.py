"""Throughput of a connection: a process sends, this one receives."""

from __future__ import annotations

import itertools
import multiprocessing
import socket
import time

CHUNK = 1 << 18


def _send(client: socket.socket, seconds: float) -> None:
    data, end = bytes(CHUNK), time.monotonic() + seconds
    while time.monotonic() < end:
        client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def _received(client: socket.socket, server: socket.socket, seconds: float) -> list[tuple[float, int]]:
    """When how much had come, at each receipt, from the first on."""
    sender = multiprocessing.get_context("fork").Process(target=_send, args=(client, seconds))
    sender.start()
    room, total, found = bytearray(1 << 20), 0, []
    while count := server.recv_into(room):
        total += count
        found.append((time.monotonic(), total))
    sender.join()
    assert sender.exitcode == 0
    return found


def rate(client: socket.socket, server: socket.socket, seconds: float) -> float:
    """MB (10**6 bytes) a second, received."""
    found = _received(client, server, seconds)
    (begin, first), (end, last) = found[0], found[-1]
    return (last - first) / (end - begin) / 1e6


def steadiness(client: socket.socket, server: socket.socket, seconds: float) -> str:
    """What was received in each second, and the longest time in which nothing was."""
    found = _received(client, server, seconds)
    begin = found[0][0]
    gap = max(later - sooner for (sooner, _), (later, _) in itertools.pairwise(found))
    each: dict[int, int] = {}
    before = 0
    for at, total in found:
        second = int(at - begin)
        each[second] = each.get(second, 0) + total - before
        before = total
    rates = sorted(each.get(second, 0) / 1e6 for second in range(int(found[-1][0] - begin)))
    half = len(rates) // 2
    return (
        f"{rates[half]:.0f} MB/s in the middle second, {rates[0]:.0f} in the slowest; longest gap {gap * 1000:.0f} ms"
    )
