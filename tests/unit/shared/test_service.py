"""A service as a process, on a real broker that enforces its contract."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from shared import ids
from shared.config import Settings
from shared.contracts.permissions import permissions
from shared.errors import InvalidArgument, Unavailable
from shared.service import broker_url, key_file
from shared.state.replay import replay
from shared.state.streams import SPANS
from shared.telemetry import SPANS_SUBJECT, SpanRecord
from tests.support.broker import Broker
from tests.support.echo import ANY, CONTRACT, ECHO, OPEN, WAIT, Text
from tests.support.process import Process
from tests.support.streams import read_all
from tests.support.worlds import nats_world
from tools.supervisor import keys

ROOT = Path(__file__).parents[3]


class Echo:
    """The process, and where it lives."""

    def __init__(self, directory: Path, broker_url: str) -> None:
        self.state = directory / "state"
        self.node = ids.node_id(self.state)
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SHOAL_STATE_DIR": str(self.state),
            "SHOAL_RUN_DIR": str(directory / "run"),
            "SHOAL_NATS_URL": broker_url,
        }

    def begin(self, ready: str = "^ready") -> Process:
        return Process([sys.executable, "-m", "tests.support.echo_process"], ready, self.environment)


@pytest.fixture
def broker(directory):
    """With the echo service as its one user besides the tester."""
    seeds = directory / "broker" / "keys"
    user = {"nkey": keys.public_key(seeds, "echo"), "permissions": permissions(CONTRACT, {"echo": CONTRACT})}
    made = Broker(directory, [user]).start()
    yield made
    made.close()


@pytest.fixture
def echo(directory, broker):
    made = Echo(directory, broker.url)
    (made.state / "keys").mkdir()
    (made.state / "keys" / "echo.nk").write_bytes(broker.seed("echo").read_bytes())
    return made


@pytest.fixture
async def user(directory, broker, echo):
    async with nats_world(directory / "user", broker) as world:
        yield await world.kernel(node=echo.node)


async def running(echo: Echo, ready: str = "^ready") -> Process:
    process = echo.begin(ready)
    await asyncio.to_thread(process.wait)
    return process


async def test_it_serves_until_it_is_told_to_end(echo, user):
    process = await running(echo)
    assert await user.bus.call(ECHO, Text(text="hello")) == Text(text="hello")
    channel = await user.streams.take(await user.bus.call(OPEN, Text()))
    await channel.write(b"stream")
    await channel.write_eof()
    assert await read_all(channel) == b"stream"
    channel.close()
    assert process.close() == 0
    printed = [line.strip() for line in process.lines if not line.startswith("{")]
    assert printed == ["started", "ready", "closed"]


async def test_it_ends_the_requests_it_has_before_it_ends(echo, user):
    process = await running(echo)
    calling = asyncio.ensure_future(user.bus.call(WAIT, Text(text="x")))
    await asyncio.to_thread(_until_printed, process, "waits x")
    stopped = asyncio.ensure_future(asyncio.to_thread(process.close))
    await asyncio.sleep(0.1)
    assert not stopped.done()
    assert await stopped == 0
    with pytest.raises(Unavailable):
        await calling


async def test_a_process_that_has_grown_makes_way_for_another_when_nothing_is_under_way(echo, user):
    echo.environment["ECHO_FOLLOWED"] = "1"
    process = await running(echo)
    assert await user.bus.call(ECHO, Text(text="hello")) == Text(text="hello")
    assert await asyncio.to_thread(process.join) == 0
    assert "closed\n" in process.lines


async def test_a_process_that_may_rest_ends_when_it_has_nothing_to_do(echo, user):
    echo.environment["ECHO_RESTS"] = "1"
    process = await running(echo)
    assert await asyncio.to_thread(process.join) == 0
    assert [line for line in process.lines if not line.startswith("{")] == [
        f"{word}\n" for word in ("started", "ready", "asked", "asked", "closed", "rested")
    ]


@pytest.mark.parametrize("why", ["ECHO_FOLLOWED", "ECHO_RESTS"])
async def test_a_request_that_comes_while_it_sees_that_it_is_at_rest_keeps_it(echo, user, tmp_path, why):
    held = tmp_path / "held"
    held.touch()
    echo.environment |= {why: "1", "ECHO_HELD": str(held)}
    process = await running(echo)
    working = asyncio.ensure_future(user.bus.call(ECHO, Text(text="work")))
    await asyncio.to_thread(_until_printed, process, "asked")
    opening = asyncio.ensure_future(user.bus.call(OPEN, Text()))
    await asyncio.sleep(0)
    await user.bus.transport.flush()
    held.unlink()
    channel = await user.streams.take(await opening)
    await asyncio.to_thread(_until, lambda: process.lines.count("asked\n") > 1 or "closed\n" in process.lines)
    await channel.write(b"stream")
    assert await channel.read() == b"stream"
    assert await working == Text(text="work")
    assert await user.bus.call(ECHO, Text(text="still here")) == Text(text="still here")
    channel.close()
    assert process.close() == 0


async def test_a_request_or_a_stream_keeps_it_however_large_it_is(echo, user):
    echo.environment["ECHO_FOLLOWED"] = "1"
    process = await running(echo)
    channel = await user.streams.take(await user.bus.call(OPEN, Text()))
    await channel.write(b"first")
    assert await channel.read() == b"first"
    await asyncio.to_thread(_until_printed, process, "asked")
    await channel.write(b"second")
    assert await channel.read() == b"second"
    calling = asyncio.ensure_future(user.bus.call(WAIT, Text(text="x")))
    await asyncio.to_thread(_until_printed, process, "waits x")
    channel.close()
    asked = process.lines.count("asked\n")
    assert await user.bus.call(ECHO, Text(text="hello")) == Text(text="hello")
    await asyncio.to_thread(_until, lambda: process.lines.count("asked\n") > asked)
    assert await user.bus.call(ECHO, Text(text="still here")) == Text(text="still here")
    assert process.close() == 0
    with pytest.raises(Unavailable):
        await calling


async def test_it_ends_at_once_when_it_was_still_waiting_for_the_broker(echo, broker):
    broker.kill()
    process = await running(echo, "broker connection")
    assert process.close(patience=5) == 0
    assert "ready" not in process.log


def test_without_a_broker_to_be_found_it_says_so(directory, broker, echo):
    echo.environment["SHOAL_NATS_URL"] = ""
    process = echo.begin("shoal up")
    assert process.join() == 1
    assert "Traceback" not in process.log


async def test_a_connection_that_is_lost_for_good_ends_it(echo, user):
    process = await running(echo)
    calling = asyncio.ensure_future(user.bus.call(ANY, Text(text="lose"), timeout=5))
    assert await asyncio.to_thread(process.join) == 1
    calling.cancel()


async def test_after_a_kill_the_next_one_answers(echo, user):
    first = await running(echo)
    idempotent = [asyncio.ensure_future(user.bus.call(ECHO, Text(count=number))) for number in range(20)]
    waiting = asyncio.ensure_future(user.bus.call(WAIT, Text(text="a")))
    await asyncio.to_thread(_until_printed, first, "waits a")
    os.kill(first.pid, signal.SIGKILL)
    calling = asyncio.ensure_future(user.bus.call(ECHO, Text(text="meanwhile"), timeout=20))
    second = await running(echo)
    assert await calling == Text(text="meanwhile")
    assert [reply.count for reply in await asyncio.gather(*idempotent)] == list(range(20))
    with pytest.raises(Unavailable, match="restarted during the call"):
        await waiting
    assert "waits" not in second.log
    first.close()
    assert second.close() == 0


def _until_printed(process: Process, text: str) -> None:
    _until(lambda: text in process.log)


def _until(holds: Callable[[], bool]) -> None:
    while not holds():
        os.sched_yield()


async def test_its_spans_are_kept_when_it_ends(echo, user):
    process = await running(echo)
    await user.bus.call(ANY, Text(text="c1"))
    assert process.close() == 0
    records = [
        record
        async for delivery in replay(user.bus, SPANS, SPANS_SUBJECT)
        for record in msgspec.json.decode(delivery.payload, type=list[SpanRecord])
    ]
    [record] = [record for record in records if record.name == "echo.any"]
    assert (record.service, record.node, record.attributes) == ("echo", echo.node, {"container": "c1"})


def test_the_broker_is_where_the_settings_say_or_where_its_starter_left_its_port(tmp_path):
    settings = Settings(state_dir=str(tmp_path))
    with pytest.raises(InvalidArgument, match="shoal up"):
        broker_url(settings)
    (tmp_path / "broker").mkdir()
    (tmp_path / "broker" / "port").write_text("4567\n")
    assert broker_url(settings) == "nats://127.0.0.1:4567"
    assert broker_url(Settings(state_dir=str(tmp_path), nats_port=1234)) == "nats://127.0.0.1:1234"
    assert broker_url(Settings(state_dir=str(tmp_path), nats_url="nats://x:1")) == "nats://x:1"


def test_a_key_is_used_where_there_is_one(tmp_path):
    settings = Settings(state_dir=str(tmp_path))
    assert key_file(settings, "volume") is None
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "volume.nk").write_text("S")
    assert key_file(settings, "volume") == tmp_path / "keys" / "volume.nk"


def test_what_all_services_make_for_themselves_is_made_once_before_they_are_forked():
    program = "from shared import service; from shared.bus import wire; service.prepare(); print(len(wire._decoders))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert int(done.stdout) > 100, done.stderr
