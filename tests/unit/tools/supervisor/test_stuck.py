from __future__ import annotations

import select
from pathlib import Path

import pytest

from tools.supervisor.stuck import ROOM, Logs

FULL = "[ERR] JetStream failed to store a msg on stream 'A > KV_b': write /x/1.blk: no space left on device\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "broker.log"


@pytest.fixture
def logs(log: Path, tmp_path: Path) -> Logs:
    """Of two brokers, one of which has written something earlier."""
    log.write_text(FULL)
    made = Logs({"broker": log, "hub": tmp_path / "hub.log"})
    made.follow("broker")
    made.follow("hub")
    return made


def say(path: Path, text: str) -> None:
    with open(path, "a") as file:
        file.write(text)


def heard(logs: Logs) -> bool:
    return bool(select.select([logs.descriptor], [], [], 0)[0])


def test_who_could_not_write_is_told_once(logs: Logs, log: Path) -> None:
    assert not heard(logs)
    say(log, "[INF] Server is ready\n")
    assert heard(logs)
    assert logs.look() == []
    say(log, FULL)
    assert heard(logs)
    assert logs.look() == ["broker"]
    assert not heard(logs)
    say(log.with_name("hub.log"), FULL)
    assert logs.look() == ["hub"]


@pytest.mark.usefixtures("logs")
def test_there_is_room_for_what_it_says_when_the_disk_is_full(log: Path) -> None:
    size = log.stat().st_size
    assert size == len(FULL)
    assert log.stat().st_blocks * 512 >= size + ROOM


def test_a_log_that_is_begun_anew_is_followed(logs: Logs, log: Path) -> None:
    log.rename(log.with_suffix(".1"))
    log.write_text("")
    assert heard(logs)
    assert logs.look() == []
    say(log, FULL)
    assert heard(logs)
    assert logs.look() == ["broker"]


def test_what_an_earlier_process_said_is_over(logs: Logs, log: Path) -> None:
    say(log, FULL)
    logs.follow("broker")
    say(log, "[INF] Server is ready\n")
    assert logs.look() == []
