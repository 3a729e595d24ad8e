from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.scheduler.adapters.renewal import AGAIN, DAY, Renewal
from shared import cluster, pki
from shared.bus import MemoryBroker
from shared.clock import now_ns
from shared.contracts.base import Contract
from shared.contracts.scheduler import RENEW, RenewReply, RenewRequest
from shared.errors import Unavailable
from shared.service import Kernel
from shared.testing import kernel, serving

DAYS = 86_400_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now = now_ns()

    def __call__(self) -> int:
        return self.now


class Hub:
    """Issues by the clock of the test; may be away."""

    def __init__(self, by: pki.Identity, clock: Clock) -> None:
        self.by, self.clock, self.away = by, clock, False
        self.asked: list[RenewRequest] = []

    async def renew(self, request: RenewRequest) -> RenewReply:
        if self.away:
            raise Unavailable("away")
        self.asked.append(request)
        made = pki.issue(self.by, request.request.encode(), request.node, "127.0.0.1", self.clock())
        return RenewReply(certificate=made.decode())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hub(clock: Clock) -> Hub:
    return Hub(pki.authority("c1", clock()), clock)


@pytest.fixture
async def host(directory: Path, hub: Hub, clock: Clock) -> AsyncIterator[Kernel]:
    broker = MemoryBroker()
    contract = Contract(name="scheduler", version="v1", summary="", endpoints=(RENEW,))
    async with (
        kernel("scheduler", directory / "1", broker, node="node1") as made,
        kernel("scheduler", directory / "2", broker, node="node2") as other,
        serving(other, contract, hub),
    ):
        files, key = cluster.folder(made.settings.state_path), pki.new_key()
        cluster.write(files / "node.key", key)
        cluster.write(files / "node.crt", pki.issue(hub.by, pki.request(key), "node1", "127.0.0.1", clock()))
        yield made


async def test_it_is_renewed_when_two_thirds_of_its_time_are_over(host: Kernel, hub: Hub, clock: Clock) -> None:
    told: list[str] = []
    renewal = Renewal(host, lambda: ["node2"], lambda: told.append("renewed"), clock)
    path = cluster.folder(host.settings.state_path) / "node.crt"
    first = path.read_bytes()
    assert await renewal.step() == DAY
    clock.now += 59 * DAYS
    assert 0 < await renewal.step() <= DAY
    assert (path.read_bytes(), told) == (first, [])
    clock.now += 2 * DAYS
    assert await renewal.step() == 0
    assert path.read_bytes() != first
    assert told == ["renewed"]
    assert await renewal.step() == DAY
    key = (cluster.folder(host.settings.state_path) / "node.key").read_bytes()
    assert pki.pin(hub.asked[0].request.encode()) == pki.pin(pki.request(key))


async def test_while_no_hub_does_it_is_tried_again(host: Kernel, hub: Hub, clock: Clock) -> None:
    renewal = Renewal(host, lambda: ["node2"], lambda: None, clock)
    clock.now += 80 * DAYS
    hub.away = True
    assert await renewal.step() == AGAIN
    hub.away = False
    assert await renewal.step() == 0


async def test_a_host_that_has_left_renews_nothing(host: Kernel, clock: Clock) -> None:
    cluster.forget(host.settings.state_path)
    assert await Renewal(host, lambda: ["node2"], lambda: None, clock).step() == DAY
