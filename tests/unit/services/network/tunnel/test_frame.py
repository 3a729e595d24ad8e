"""Messages in datagrams."""

from __future__ import annotations

import os
import random

from hypothesis import given
from hypothesis import strategies as st

from services.network.tunnel import frame
from services.network.tunnel.frame import Joiner

DATAGRAM = 100


def datagrams(sealed: bytes, sequence: int = 1, size: int = DATAGRAM) -> list[bytes]:
    found = []
    for parts, _ in frame.cut(7, sequence, memoryview(sealed), size):
        found += [bytes(parts[at]) + bytes(parts[at + 1]) for at in range(0, len(parts), 2)]
    return found


def joined(joiner: Joiner, received: list[bytes], size: int = DATAGRAM) -> list[tuple[int, bytes]]:
    return list(joiner.add(memoryview(b"".join(received)), size))


@given(st.binary(min_size=1, max_size=3000))
def test_what_was_cut_is_joined(sealed: bytes) -> None:
    assert joined(Joiner(), datagrams(sealed)) == [(1, sealed)]


def test_datagrams_come_singly_late_twice_and_in_any_order() -> None:
    joiner, sealed = Joiner(), [os.urandom(950) for _ in range(3)]
    each = [part for number, data in enumerate(sealed, 1) for part in datagrams(data, number)]
    random.Random(1).shuffle(each)
    found = [whole for part in each for whole in joined(joiner, [part])]
    assert sorted(found) == list(enumerate(sealed, 1))


def test_one_call_brings_the_end_of_one_message_and_another() -> None:
    """As the kernel puts datagrams of one length together."""
    joiner, first, second = Joiner(), os.urandom(84 * 5), os.urandom(84 * 2)
    a, b = datagrams(first, 1), datagrams(second, 2)
    assert joined(joiner, a[:3]) == []
    assert joined(joiner, a[3:] + b) == [(1, first), (2, second)]


def test_a_missing_datagram_is_a_missing_message() -> None:
    joiner, sealed = Joiner(), os.urandom(950)
    parts = datagrams(sealed)
    assert joined(joiner, parts[:4] + parts[5:]) == []
    assert joined(joiner, [parts[4]]) == [(1, sealed)], "it comes late"


def test_bursts_are_no_longer_than_the_kernel_takes() -> None:
    bursts = list(frame.cut(1, 1, memoryview(bytes(65_600)), 1472))
    assert len(bursts) == 2
    for parts, size in bursts:
        assert len(parts) // 2 <= frame.MOST_SEGMENTS
        assert sum(map(len, parts)) <= frame.MOST_BYTES
        assert all(len(parts[at]) + len(parts[at + 1]) <= size for at in range(0, len(parts), 2))


def test_what_is_never_whole_takes_bounded_room() -> None:
    joiner = Joiner()
    for number in range(10_000):
        assert joined(joiner, datagrams(bytes(500), number)[:-1]) == []
    assert len(joiner._open) == frame.OPEN_MESSAGES


@given(st.integers(0, 600), st.integers(0, 600), st.binary(max_size=300), st.integers(1, 200))
def test_noise_is_borne(index: int, count: int, data: bytes, size: int) -> None:
    received = frame.HEADER.pack(1, index, count, 1) + data
    assert all(sequence >= 0 for sequence, _ in Joiner().add(memoryview(received), size))


def test_a_last_piece_shorter_than_a_header_is_no_piece() -> None:
    head = frame.HEADER.pack(1, 0, 3, 1)
    assert joined(Joiner(), [head + b"x", head[:3]], 17) == []


def test_pieces_that_are_no_message_of_ours_take_bounded_room() -> None:
    """Whoever knows an index can send them: they are kept before they can be known to be genuine."""
    joiner, piece = Joiner(), bytes(60_000)
    for index in range(frame.MOST_PIECES - 1):
        assert joined(joiner, [frame.HEADER.pack(1, index, frame.MOST_PIECES, 1) + piece], 70_000) == []
    kept = sum(len(part) for message in joiner._open.values() for part in message.parts.values())
    assert kept <= frame.MOST_SEALED
