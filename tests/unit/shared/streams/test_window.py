from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.streams.window import WINDOW, Incoming, Outgoing


def test_the_writer_stops_ahead_of_the_user_not_of_the_network():
    outgoing, incoming = Outgoing(), Incoming()
    for number in range(WINDOW):
        assert outgoing.has_room
        assert outgoing.add(b"%d" % number) == number
        assert incoming.accept(number)
    assert not outgoing.has_room
    outgoing.told(*incoming.tell())
    assert outgoing.is_settled
    assert not outgoing.has_room
    incoming.take()
    outgoing.told(*incoming.tell())
    assert outgoing.has_room


def test_the_writer_is_told_in_time_to_go_on():
    incoming = Incoming()
    told = 0
    for number in range(WINDOW):
        incoming.accept(number)
        if incoming.take():
            told = incoming.tell()[1]
    assert told > 0


def test_repeated_frames_and_frames_behind_a_gap_are_not_accepted():
    incoming = Incoming()
    assert [incoming.accept(number) for number in (0, 0, 2, 1, 2, 1)] == [True, False, False, True, True, False]


def test_impossible_counts_change_nothing():
    outgoing = Outgoing()
    outgoing.add(b"x")
    for received, taken in ((2, 0), (1, 2), (5, 5)):
        outgoing.told(received, taken)
    assert outgoing.missing() == [(0, b"x")]


@given(st.integers(min_value=0, max_value=60), st.lists(st.sampled_from(["lose", "pass", "repeat"]), max_size=300))
def test_whatever_the_network_loses_or_repeats_all_frames_come_in_order(count, fates):
    """Both directions of a link have these fates, in turn; then it is well and the sides tell what they lack."""
    outgoing, incoming = Outgoing(), Incoming()
    fate, got, waiting = iter(fates), [], list(range(count))

    def carry(deliver):
        for _ in range({"lose": 0, "pass": 1, "repeat": 2}[next(fate, "pass")]):
            deliver()

    def receive(number, frame):
        if incoming.accept(number):
            got.append(frame)
            if incoming.take():
                counts = incoming.tell()
                carry(lambda: outgoing.told(*counts))

    while waiting or not outgoing.is_settled:
        while waiting and outgoing.has_room:
            frame = b"%d" % waiting.pop(0)
            number = outgoing.add(frame)
            carry(lambda number=number, frame=frame: receive(number, frame))
        outgoing.told(*incoming.tell())
        for number, frame in outgoing.missing():
            carry(lambda number=number, frame=frame: receive(number, frame))
    assert got == [b"%d" % number for number in range(count)]
