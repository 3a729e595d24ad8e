"""What `shoal trace` tells of a `docker run`, and that a collector of the user's gets the same spans."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest

from tests.support.collector import Exported, collector
from tests.support.engine import IMAGE, Engine
from tests.support.shoal import Shoal

pytestmark = pytest.mark.shoal_only


@pytest.fixture(scope="module")
def shoal() -> Iterator[Shoal]:
    with Shoal() as made:
        Engine(made.host).load_busybox()
        yield made


def test_a_run_is_told_hop_by_hop_with_times(shoal: Shoal) -> None:
    client = Engine(shoal.host)
    client.start("--name", "traced", "-v", "data:/data", IMAGE, "sleep", "100")
    listed = shoal.command("trace").stdout
    assert "POST /containers/create" in listed
    told = shoal.command("trace", "traced").stdout
    created, started = (
        next(part for part in told.split("\ntrace ") if request in part)
        for request in ("POST /containers/create", "POST /containers/{id}/start")
    )
    for span in ("[gateway]", "executor.create", "image_store.prepare", "snapshot", "volume.create"):
        assert span in created, created
    for span in ("[gateway]", "executor.start", "network.stack", "platform.create", "mount.root", "monitor.create"):
        assert span in started, started
    for line in started.splitlines()[2:]:
        assert re.match(r"\s*[0-9.]+\s+[0-9.]+\s", line), line
    client.ok("rm", "-f", "traced")


def test_a_collector_gets_the_spans(shoal: Shoal) -> None:
    shoal.down()
    with collector(shoal.netns) as otlp:
        shoal.settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        shoal.up()
        Engine(shoal.host).run(IMAGE, "true")
        assert otlp.until(has_a_whole_start), shoal.logs()
        shoal.down()


def has_a_whole_start(spans: Sequence[Exported]) -> bool:
    """Whether the spans of one start came from every service that took part."""
    starts = {span.trace for span in spans if span.name == "POST /containers/{id}/start"}
    return any(
        {f"shoal.{name}" for name in ("gateway", "executor", "network", "platform")}
        <= {span.service for span in spans if span.trace == trace}
        for trace in starts
    )
