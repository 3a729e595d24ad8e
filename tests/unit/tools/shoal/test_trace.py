"""With a real broker that enforces the operator's permissions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from shared.bus import Bus, NatsTransport
from shared.state.streams import ensure
from shared.telemetry import SPANS_SUBJECT, SpanRecord
from tests.support.broker import Broker
from tools.shoal.__main__ import app

CONTAINER = "c" * 64
SPANS = [
    SpanRecord("t" * 32, "1", "POST /containers/{id}/start", "gateway", "n", 10**9, 3 * 10**9, kind="SERVER"),
    SpanRecord("t" * 32, "2", "mount.root", "platform", "n", 2 * 10**9, 25 * 10**8, parent_id="1"),
    SpanRecord("u" * 32, "3", "GET /info", "gateway", "n", 10**9, 10**9, attributes={"container": CONTAINER}),
]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    started = Broker(tmp_path_factory.mktemp("trace")).start()
    asyncio.run(_fill(started))
    yield started
    started.close()


async def _fill(broker: Broker) -> None:
    bus = Bus(await NatsTransport.connect(broker.url, "tester", broker.seed()), "n", "tester")
    await bus.open()
    await ensure(bus)
    await bus.request_raw(SPANS_SUBJECT, msgspec.json.encode(SPANS))
    await bus.close()


@pytest.fixture
def shoal(broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    monkeypatch.setenv("SHOAL_STATE_DIR", broker.settings.state_dir)
    monkeypatch.setenv("SHOAL_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("SHOAL_NATS_URL", broker.url)
    return CliRunner()


def test_the_list(shoal: CliRunner) -> None:
    result = shoal.invoke(app, ["trace"])
    assert result.exit_code == 0, result.exception
    lines = result.output.splitlines()
    assert lines[0].split()[0] == "TRACE"
    assert {line.split()[0] for line in lines[1:]} == {"t" * 16, "u" * 16}


def test_a_tree(shoal: CliRunner) -> None:
    output = shoal.invoke(app, ["trace", "ttt"]).output
    assert "2000.00  POST /containers/{id}/start  [gateway]" in output
    assert "  1000.00    500.00  └─ mount.root  [platform]" in output
    assert "GET /info" not in output


def test_a_container_that_is_gone_is_found_by_its_id(shoal: CliRunner) -> None:
    output = shoal.invoke(app, ["trace", CONTAINER[:12], "--json"]).output
    assert msgspec.json.decode(output, type=SpanRecord) == SPANS[2]


def test_what_is_not_there(shoal: CliRunner) -> None:
    assert "no trace of nope" in str(shoal.invoke(app, ["trace", "nope"]).exception)
