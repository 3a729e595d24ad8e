from __future__ import annotations

import random

import pytest

from services.image_store.domain.pieces import Piece, Pieces


def test_pieces_come_in_any_order_and_are_given_in_theirs() -> None:
    pieces = Pieces(begin=2, size=10, length=3, ahead=3)
    asked = [pieces.take(who) for who in "abc"]
    assert asked == [Piece(2, 3), Piece(5, 3), Piece(8, 2)]
    assert pieces.came(8, b"78") == []
    assert pieces.came(2, b"234") == [b"234"]
    assert pieces.came(5, b"567") == [b"567", b"78"]
    assert pieces.done
    assert pieces.take("a") is None


def test_nobody_is_sent_too_far_ahead() -> None:
    pieces = Pieces(0, 100, 1, ahead=4)
    assert [pieces.take("a") for _ in range(5)] == [*(Piece(offset, 1) for offset in range(4)), None]
    pieces.came(0, b"x")
    assert pieces.take("a") == Piece(4, 1)


def test_who_is_idle_helps_with_the_oldest() -> None:
    pieces = Pieces(0, 2, 1, ahead=2)
    assert (pieces.take("slow"), pieces.take("fast")) == (Piece(0, 1), Piece(1, 1))
    assert pieces.came(1, b"y") == []
    assert pieces.take("fast") == Piece(0, 1)
    assert pieces.take("fast") is None
    assert pieces.came(0, b"x") == [b"x", b"y"]
    assert pieces.came(0, b"x") == []


def test_what_one_gave_back_goes_to_another() -> None:
    pieces = Pieces(0, 3, 1, ahead=3)
    taken = [pieces.take("a"), pieces.take("b")]
    pieces.give_back("a")
    assert pieces.take("b") == taken[0]
    assert pieces.take("b") == Piece(2, 1)


def test_a_piece_of_another_length() -> None:
    pieces = Pieces(0, 5, 3, ahead=2)
    pieces.take("a")
    with pytest.raises(ValueError, match="2 bytes at 0"):
        pieces.came(0, b"xy")


@pytest.mark.parametrize("seed", range(50))
def test_whatever_happens_each_byte_comes_once(seed: int) -> None:
    chance = random.Random(seed)
    data = chance.randbytes(chance.randrange(200))
    pieces = Pieces(begin := chance.randrange(len(data) + 1), len(data), chance.randrange(1, 9), chance.randrange(1, 6))
    given, asked = bytearray(), []
    while not pieces.done:
        who = chance.choice("abc")
        if (piece := pieces.take(who)) is not None:
            asked.append((who, piece))
        if asked and (piece is None or chance.random() < 0.5):
            who, piece = asked.pop(chance.randrange(len(asked)))
            if chance.random() < 0.2:
                pieces.give_back(who)
                asked = [each for each in asked if each[0] != who]
            else:
                given += b"".join(pieces.came(piece.offset, data[piece.offset : piece.offset + piece.length]))
    assert bytes(given) == data[begin:]
