"""Attach and logs of real containers: nothing lost, nothing out of order, ends where the container ends."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.platform.adapters import streams
from services.platform.adapters.logs import LogFile
from shared.contracts.common import Ref
from shared.contracts.container import LogConfig
from shared.contracts.executor import AttachRequest
from shared.contracts.platform import SignalRequest
from shared.streams import Channel
from tests.support.platform_host import Host, everything, frames

MEGABYTE = 1 << 20


async def feed(channel: Channel, megabytes: int) -> str:
    """Sends so much and ends its side; the digest of what was sent."""
    digest = hashlib.md5()
    for number in range(megabytes):
        block = bytes([number % 251]) * MEGABYTE
        digest.update(block)
        await channel.write(block)
    await channel.write_eof()
    return digest.hexdigest()


async def read_all(channel: Channel) -> tuple[int, str]:
    """Length and digest of all that a terminal-less container wrote to one stream."""
    size, digest, rest = 0, hashlib.md5(), b""
    while data := await channel.read():
        rest += data
        at = 0
        while len(rest) - at >= 8 and len(rest) - at - 8 >= (length := int.from_bytes(rest[at + 4 : at + 8], "big")):
            digest.update(rest[at + 8 : at + 8 + length])
            size, at = size + length, at + 8 + length
        rest = rest[at:]
    assert rest == b""
    return size, digest.hexdigest()


async def test_input_and_output_are_whole(host: Host) -> None:
    name = await host.run("cat", process_stdin=True, stdin_once=True)
    channel = await host.attach(name, stdin=True)
    sent, (size, received) = await asyncio.gather(feed(channel, 64), read_all(channel))
    assert (size, received) == (64 * MEGABYTE, sent)
    assert await host.code(name) == 0


async def test_a_client_that_comes_before_its_container_loses_nothing(host: Host) -> None:
    request = host.request("sh", "-c", "echo first; cat", process_stdin=True, stdin_once=True)
    channel = await host.attach(request.id, stdin=True)
    await channel.write(b"sent before it was there\n")
    await channel.write_eof()
    await host.service.create(request)
    await host.service.start(Ref(id=request.id))
    data = await everything(channel)
    assert b"".join(text for _, text in frames(data)) == b"first\nsent before it was there\n"
    assert await host.code(request.id) == 0


async def test_a_client_whose_container_cannot_be_made_is_let_go(host: Host) -> None:
    request = host.request("nosuch")
    channel = await host.attach(request.id)
    reading = asyncio.ensure_future(everything(channel))
    await asyncio.sleep(0.05)
    with pytest.raises(Exception, match="executable file not found"):
        await host.service.create(request)
    assert await asyncio.wait_for(reading, 60) == b""


async def test_a_removed_container_lets_its_waiting_clients_go(host: Host) -> None:
    reading = asyncio.ensure_future(everything(await host.attach("never-made")))
    await asyncio.sleep(0.05)
    await host.delete("never-made")
    assert await asyncio.wait_for(reading, 60) == b""


async def test_a_client_waits_for_the_next_start_over_the_removal_of_the_last(host: Host) -> None:
    name = await host.run("echo", "one")
    await host.exited(name)
    channel = await host.attach(name)
    await host.delete(name, logs=False)
    await host.run("echo", "two", name=name)
    assert frames(await everything(channel)) == [(1, b"two\n")]


async def test_streams_are_chosen_and_told_apart(host: Host) -> None:
    request = host.request("sh", "-c", "echo out; echo err >&2")
    await host.service.create(request)
    both, only = await host.attach(request.id), await host.attach(request.id, stdout=False)
    await host.service.start(Ref(id=request.id))
    assert sorted(frames(await everything(both))) == [(1, b"out\n"), (2, b"err\n")]
    assert frames(await everything(only)) == [(2, b"err\n")]


async def test_the_end_of_the_stream_comes_after_the_end_is_known(host: Host) -> None:
    name = await host.run("sh", "-c", "sleep 0.1; exit 4")
    assert await everything(await host.attach(name)) == b""
    assert (await host.state(name)).exit_code == 4


async def test_a_terminal_is_raw_both_ways(host: Host) -> None:
    script = "stty -echo; echo ready; read line; echo got $line"
    request = host.request("sh", "-c", script, process_tty=True, process_stdin=True, stdin_once=True)
    await host.service.create(request)
    channel = await host.attach(request.id, stdin=True)
    await host.service.start(Ref(id=request.id))
    assert await channel.read() == b"ready\r\n"
    await channel.write(b"this\n")
    assert await everything(channel) == b"got this\r\n"


async def test_leaving_a_terminal_keeps_it_usable(host: Host) -> None:
    name = await host.run("cat", process_tty=True, process_stdin=True, stdin_once=True)
    first = await host.attach(name, stdin=True)
    await first.write(b"one\n")
    assert await first.read()
    first.close()
    second = await host.attach(name, stdin=True)
    await second.write(b"two\n\4")
    assert b"two" in await everything(second)


async def test_a_watcher_that_leaves_does_not_end_the_input_of_another(host: Host) -> None:
    name = await host.run("cat", process_stdin=True, stdin_once=True)
    writer, watcher = await host.attach(name, stdin=True), await host.attach(name)
    await writer.write(b"one\n")
    assert await watcher.read()
    watcher.close()
    for _ in range(3):  # its end is noticed when it does not take what comes
        await writer.write(b"more\n")
        await asyncio.sleep(0.02)
    await writer.write(b"last\n")
    await writer.write_eof()
    data = await everything(writer)
    assert b"".join(text for _, text in frames(data)) == b"one\n" + 3 * b"more\n" + b"last\n"


async def test_input_stays_open_for_the_next_when_it_is_not_to_be_used_once(host: Host) -> None:
    name = await host.run("head", "-n", "2", process_stdin=True)
    first = await host.attach(name, stdin=True)
    await first.write(b"one\n")
    await first.write_eof()
    first.close()
    await asyncio.sleep(0.05)
    second = await host.attach(name, stdin=True)
    await second.write(b"two\n")
    await everything(second)
    assert await host.logs(name) == [(1, b"one\n"), (1, b"two\n")]


async def test_a_client_that_does_not_read_does_not_block_the_removal(host: Host) -> None:
    name = await host.run("sh", "-c", "yes")
    channel = await host.attach(name)
    await channel.read()
    await host.service.signal(SignalRequest(id=name, signal=9))
    channel.close()
    assert await host.code(name) == 137


async def test_output_from_before_can_be_had_with_the_live_one(host: Host) -> None:
    name = await host.run("sh", "-c", "echo before; read x; echo after", process_stdin=True)
    await host.logged(name, 1)
    channel = await host.attach(name, stdin=True, logs=True)
    assert frames(await channel.read()) == [(1, b"before\n")]
    await channel.write(b"\n")
    assert frames(await everything(channel)) == [(1, b"after\n")]
    assert frames(await everything(await host.attach(name, logs=True, stream=False))) == [
        (1, b"before\n"),
        (1, b"after\n"),
    ]


async def test_the_log_of_what_has_just_been_started_has_its_first_words(host: Host) -> None:
    for _ in range(10):
        assert await host.logs(await host.run("echo", "x")) == [(1, b"x\n")]


async def test_the_first_words_after_a_restart_are_waited_for_too(host: Host) -> None:
    name = await host.run("echo", "x")
    await host.exited(name)
    await host.delete(name, logs=False)
    await asyncio.sleep(0.02)  # the time of a file may be that much behind
    await host.run("sh", "-c", "sleep 0.03; echo y", name=name)
    assert await host.logs(name) == [(1, b"x\n"), (1, b"y\n")]


async def test_nobody_waits_long_for_what_says_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    name = await host.run("sleep", "1000")
    assert await asyncio.wait_for(host.logs(name), 30) == []
    monkeypatch.setattr(LogFile, "begun", None)  # from then on it is not even looked
    assert await host.logs(name) == []


async def test_who_ends_without_a_word_is_not_waited_for(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FIRST_WORDS", 1000.0)
    assert await asyncio.wait_for(host.logs(await host.run("sh", "-c", "sleep 0.05")), 30) == []


async def test_following_ends_with_the_container_and_has_everything(host: Host) -> None:
    lines = 20_000
    name = await host.run("sh", "-c", f"seq 1 {lines}; printf end")
    found = await host.logs(name, follow=True)
    assert b"".join(text for _, text in found) == b"".join(b"%d\n" % n for n in range(1, lines + 1)) + b"end"
    assert len(found) == lines + 1  # a frame for each line
    assert (await host.state(name)).state == "stopped"


async def test_following_from_the_middle(host: Host) -> None:
    name = await host.run("sh", "-c", "seq 1 100; read x; echo more", process_stdin=True)
    await host.logged(name, 100)
    following = asyncio.ensure_future(host.logs(name, follow=True, tail=2))
    await asyncio.sleep(0.05)
    channel = await host.attach(name, stdin=True)
    await channel.write(b"\n")
    assert await following == [(1, b"99\n"), (1, b"100\n"), (1, b"more\n")]


async def test_nothing_to_follow_in_a_container_that_has_ended(host: Host) -> None:
    name = await host.run("echo", "x")
    await host.exited(name)
    assert await host.logs(name, follow=True) == [(1, b"x\n")]
    await host.delete(name, logs=False)
    assert await host.logs(name, follow=True) == [(1, b"x\n")]


def nanoseconds(stamped: bytes) -> int:
    """The time that a line begins with."""
    moment, _, fraction = stamped.split(b"Z", 1)[0].decode().partition(".")
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * 1_000_000_000 + int(fraction)


async def test_lines_are_chosen_by_number_and_time(host: Host) -> None:
    name = await host.run("sh", "-c", "echo a; sleep 0.1; echo b; sleep 0.1; printf c")
    await host.exited(name)
    assert [t for _, t in await host.logs(name, tail=2)] == [b"b\n", b"c"]
    assert await host.logs(name, tail=0) == []
    stamped = [text for _, text in await host.logs(name, timestamps=True)]
    assert [text.split(b" ", 1)[1] for text in stamped] == [b"a\n", b"b\n", b"c"]
    second = nanoseconds(stamped[1])
    assert [t for _, t in await host.logs(name, since=second)] == [b"b\n", b"c"]
    assert [t for _, t in await host.logs(name, until=second)] == [b"a\n", b"b\n"]


async def test_a_terminals_log_is_raw(host: Host) -> None:
    name = await host.run("echo", "x", process_tty=True)
    await host.exited(name)
    offer = await host.service.attach(AttachRequest(id=name, logs=True, stdout=True, stderr=True))
    assert await everything(await host.kernel.streams.take(offer)) == b"x\r\n"


async def test_without_a_log_driver_nothing_is_kept(host: Host) -> None:
    name = await host.run("echo", "x", log=LogConfig(type="none"))
    await host.exited(name)
    assert await host.logs(name) == []
    assert (await host.state(name)).log_path == ""
    assert not list(Path(host.settings.state_dir, "platform/logs").iterdir())
