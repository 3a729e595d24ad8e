import pytest

from services.network.uplinks import Uplinks
from shared.bus import Bus, MemoryBroker
from shared.bus.server import Server
from shared.contracts.base import Empty
from shared.contracts.network_driver import (
    CONTRACT,
    CheckRequest,
    JoinRequest,
    LeaveRequest,
    PeersRequest,
)
from shared.errors import InvalidArgument, NotFound


class Keys:
    """Of encrypted networks, of which there are none here."""

    async def open(self) -> None:
        raise AssertionError

    def peers(self, addresses: set[str]) -> None:
        raise AssertionError

    async def end(self) -> None:
        raise AssertionError

    async def sweep(self) -> None:
        raise AssertionError

    async def agreed(self, address: str) -> None:
        raise AssertionError


class Foreign:
    """A driver that writes down what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def check(self, request: CheckRequest) -> Empty:
        if request.options:
            raise InvalidArgument("no options, please")
        return Empty()

    async def join(self, request: JoinRequest) -> Empty:
        self.asked.append(request)
        return Empty()

    async def leave(self, request: LeaveRequest) -> Empty:
        self.asked.append(request)
        return Empty()

    async def peers(self, request: PeersRequest) -> Empty:
        self.asked.append(request)
        return Empty()


async def test_a_driver_of_another_process_is_asked_by_its_name_and_host() -> None:
    broker, foreign = MemoryBroker(), Foreign()
    served, caller = Bus(broker.connect(), "node1-wire", "network_driver"), Bus(broker.connect(), "node1", "network")
    for bus in (served, caller):
        await bus.open()
    server = Server(served, CONTRACT, foreign)
    await server.open()
    uplinks = Uplinks(caller, Keys())
    join = JoinRequest(network="n", bridge="b", port="p", vni=1, host="192.0.2.1", mtu=1450)
    await uplinks.check("wire", CheckRequest())
    await uplinks.join("wire", join)
    await uplinks.peers("wire", PeersRequest(network="n", port="p"))
    await uplinks.leave("wire", LeaveRequest(network="n", port="p"))
    assert foreign.asked == [join, PeersRequest(network="n", port="p"), LeaveRequest(network="n", port="p")]
    with pytest.raises(InvalidArgument, match="please"):
        await uplinks.check("wire", CheckRequest(options={"a": "b"}))
    for unknown in ("other", "no.name", ""):
        with pytest.raises(NotFound, match="plugin"):
            await uplinks.check(unknown, CheckRequest())
    await uplinks.check("overlay", CheckRequest())
    uplinks.close()
    await server.close(1.0)
    for bus in (served, caller):
        await bus.close()
