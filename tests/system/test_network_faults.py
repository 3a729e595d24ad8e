"""What was changed at networks and by the administrator is there whatever process of the engine is killed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.engine import IMAGE, Engine
from tests.support.shoal import Shoal

pytestmark = [pytest.mark.shoal_only, pytest.mark.timeout(600)]
RULE = "meta l4proto tcp ct original proto-dst 18082 counter drop"
STORE = "10.97.0.50"


@pytest.fixture
def shoal() -> Iterator[Shoal]:
    with Shoal() as started:
        Engine(started.host).load_busybox()
        yield started


@pytest.fixture
def client(shoal: Shoal) -> Engine:
    return Engine(shoal.host, shoal.netns)


def rules(shoal: Shoal, command: str) -> str:
    """What nftables answers in the engine's network namespace."""
    call = "import sys; from services.network.adapters.nftables import Nftables; print(Nftables().run(sys.argv[1]))"
    return shoal.inside([sys.executable, "-c", call, command]).stdout


def attached(client: Engine) -> dict[str, Any]:
    """What inspect tells of the container's networks and ports."""
    shown = client.inspect("web")
    return {"networks": shown["NetworkSettings"]["Networks"], "ports": shown["NetworkSettings"]["Ports"]}


def fetched(client: Engine, address: str, seconds: int = 30) -> str:
    """What a neighbour gets; nothing when that takes longer."""
    return client.docker("exec", "neighbour", "timeout", str(seconds), "wget", "-qO-", f"http://{address}/").out


def check(client: Engine) -> None:
    """Everything that was changed has its effect."""
    named = client.docker("exec", "neighbour", "ping", "-c", "1", "-W", "2", "store").out
    assert named.startswith(f"PING store ({STORE})")
    for address in (STORE, "10.97.0.1:18080", "10.97.0.1:18081"):
        assert fetched(client, address) == "it works\n", address
    assert fetched(client, "10.97.0.1:18082", seconds=1) == "", "the administrator's rule"
    for port in (18080, 18081):
        client.connect(("127.0.0.1", port)).close()
    assert client.docker("exec", "neighbour", "ping", "-c", "1", "-W", "2", "apart").code != 0


def test_changes_are_there_whatever_is_killed(shoal: Shoal, client: Engine) -> None:
    client.ok("network", "create", "--subnet", "10.97.0.0/24", "back")
    client.ok("network", "create", "other")
    serve = "echo it works > /tmp/index.html; exec httpd -f -h /tmp -p 80"
    client.start("--name", "web", "-p", "18080:80", "-p", "18082:80", IMAGE, "sh", "-c", serve)
    client.start("--name", "neighbour", "--network", "back", IMAGE, "sleep", "1000")
    client.start("--name", "apart", "--network", "other", IMAGE, "sleep", "1000")
    client.ok("network", "connect", "--alias", "store", "--ip", STORE, "back", "web")
    added = client.call("POST", "/containers/web/ports", {"Add": {"80/tcp": [{"HostPort": "18081"}]}})
    assert added.status == 200
    client.ok("network", "connect", "other", "neighbour")
    client.ok("network", "disconnect", "other", "neighbour")
    rules(shoal, f"table inet admin {{ chain f {{ type filter hook forward priority -10; {RULE}; }}; }}")
    before = attached(client)
    assert before["networks"]["back"]["IPAddress"] == STORE
    check(client)
    for process in shoal.processes():
        shoal.kill(process.name)
    assert attached(client) == before
    check(client)
    client.ok("restart", "-t", "0", "web")
    after = attached(client)
    assert (after["ports"], after["networks"]["back"]["IPAddress"]) == (before["ports"], STORE)
    check(client)
    shoal.down()
    shoal.up()
    check(client)
    assert "proto-dst 18082" in rules(shoal, "list table inet admin")
