"""Tag System."""

import json
import time

import pytest

from tests.support.engine import IMAGE, Engine
from tests.support.swagger_walk import Caller


@pytest.mark.provokes("SystemPing", 200)
@pytest.mark.provokes("SystemPingHead", 200)
def test_ping(caller: Caller) -> None:
    assert caller.expect(200, "SystemPing").body == b"OK"
    answer = caller.expect(200, "SystemPingHead")
    documented = set(caller.api.operations["SystemPingHead"].headers[200])
    assert documented <= answer.headers.keys()


@pytest.mark.provokes("SystemInfo", 200)
@pytest.mark.provokes("SystemVersion", 200)
def test_info_and_version(caller: Caller) -> None:
    caller.expect(200, "SystemInfo")
    caller.expect(200, "SystemVersion")


@pytest.mark.provokes("SystemDataUsage", 200)
def test_disk_usage(caller: Caller, engine: Engine) -> None:
    engine.start("--network", "none", "-v", "named:/v", IMAGE, "sleep", "1000")
    for query in ({}, {"type": ["container", "volume"]}, {"type": "image"}, {"type": "build-cache"}, {"verbose": True}):
        caller.expect(200, "SystemDataUsage", query=query)


@pytest.mark.provokes("SystemEvents", 200, 400)
def test_events(caller: Caller, engine: Engine) -> None:
    begin = time.time()
    engine.ok("volume", "create", "told")
    engine.ok("rm", "-f", engine.start("--network", "none", IMAGE, "true"))
    query = {"since": f"{begin:.6f}", "until": f"{time.time():.6f}", "filters": {"type": ["container", "volume"]}}
    lines = caller.expect(200, "SystemEvents", query=query).body.splitlines()
    assert {"create", "start", "die", "destroy"} <= {json.loads(line)["Action"] for line in lines}
    caller.expect(400, "SystemEvents", query={"since": "yesterday"})
    caller.expect(400, "SystemEvents", query={"since": 2, "until": 1})
