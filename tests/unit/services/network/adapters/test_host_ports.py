"""Host ports."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.network.adapters.host_ports import HostPorts
from services.network.adapters.proxy import Proxy
from services.network.domain.addresses import Address
from services.network.domain.publishing import ANY4, ANY6, Forward, Place, Wish
from shared.errors import Conflict, InvalidArgument, ResourceExhausted

A = ipaddress.ip_address
TARGET = A("10.9.0.2")
LOCAL = A("127.0.0.1")
pytestmark = pytest.mark.usefixtures("host_network")


def wish(protocol: str, port: int, hosts: tuple[Address, ...], first: int = 0, last: int = 0) -> Wish:
    return Wish(protocol, port, tuple(Place(host, TARGET) for host in hosts), first, last)


@pytest.fixture
async def ports(host_network: None, proxy: Proxy) -> HostPorts:
    return HostPorts(proxy, lambda: (40000, 40003))


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


async def test_a_reserved_port_is_nobody_elses(ports: HostPorts) -> None:
    forwards = ports.reserve(wish("tcp", 80, (ANY4, ANY6), 8080, 8080))
    assert forwards == [Forward("tcp", ANY4, 8080, TARGET, 80), Forward("tcp", ANY6, 8080, TARGET, 80)]
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", 8080))
    ports.release(forwards)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 8080))
        assert other.getsockname()[1] == 8080


async def test_a_port_of_ours_is_already_allocated(ports: HostPorts) -> None:
    ports.reserve(wish("tcp", 80, (ANY4,), 8080, 8080))
    with pytest.raises(Conflict) as caught:
        ports.reserve(wish("tcp", 81, (LOCAL,), 8080, 8080))
    assert caught.value.message == "Bind for 127.0.0.1:8080 failed: port is already allocated"


async def test_a_port_of_another_program_is_in_use(ports: HostPorts, taken: int) -> None:
    with pytest.raises(Conflict) as caught:
        ports.reserve(wish("tcp", 80, (ANY4,), taken, taken))
    text = f"Error starting userland proxy: listen tcp4 0.0.0.0:{taken}: bind: address already in use"
    assert caught.value.message == text


async def test_an_address_of_another_host(ports: HostPorts) -> None:
    with pytest.raises(InvalidArgument) as caught:
        ports.reserve(wish("udp", 80, (A("192.0.2.99"),), 8080, 8080))
    assert caught.value.message.endswith("listen udp4 192.0.2.99:8080: bind: cannot assign requested address")


async def test_a_range_gives_its_first_free_port(ports: HostPorts) -> None:
    wanted = wish("tcp", 80, (LOCAL,), 8080, 8081)
    assert ports.reserve(wanted)[0].host_port == 8080
    assert ports.reserve(wanted)[0].host_port == 8081
    with pytest.raises(ResourceExhausted, match="all ports are allocated"):
        ports.reserve(wanted)


async def test_chosen_ports_follow_each_other_and_run_out(ports: HostPorts) -> None:
    wanted = wish("udp", 53, (LOCAL,))
    given = [ports.reserve(wanted) for _ in range(4)]
    assert [forwards[0].host_port for forwards in given] == [40000, 40001, 40002, 40003]
    with pytest.raises(ResourceExhausted, match="all ports are allocated"):
        ports.reserve(wanted)
    ports.release(given[1])
    assert ports.reserve(wanted)[0].host_port == 40001


async def test_half_a_reservation_is_taken_back(ports: HostPorts) -> None:
    ports.reserve(wish("tcp", 80, (A("::1"),), 8080, 8080))
    with pytest.raises(Conflict, match=r"Bind for \[::\]:8080 failed"):
        ports.reserve(wish("tcp", 80, (ANY4, ANY6), 8080, 8080))
    assert ports.reserve(wish("tcp", 80, (ANY4,), 8080, 8080))[0].host_port == 8080


async def test_ports_are_taken_again_after_a_restart(ports: HostPorts, taken: int) -> None:
    forwards = [Forward("tcp", ANY4, 8080, TARGET, 80), Forward("tcp", LOCAL, taken, TARGET, 81)]
    ports.adopt(forwards)
    for forward in forwards:
        wanted = wish("tcp", 80, (LOCAL,), forward.host_port, forward.host_port)
        with pytest.raises(Conflict, match="already allocated"):
            ports.reserve(wanted)
    ports.release(forwards)
    ports.close()


async def test_tcp_and_udp_do_not_mind_each_other(ports: HostPorts) -> None:
    for protocol in ("tcp", "udp", "sctp"):
        assert ports.reserve(wish(protocol, 53, (ANY4,), 8053, 8053))[0].protocol == protocol
    ports.close()


async def test_relays_can_be_led_elsewhere(ports: HostPorts) -> None:
    servers = []
    for name in (b"one", b"two"):
        server = await asyncio.start_server(functools.partial(_say, name), "127.0.0.1", 0)
        servers.append(server.sockets[0].getsockname()[1])
    [forward] = ports.reserve(wish("tcp", 80, (A("::1"),), 8080, 8080))
    for number, expected in zip(servers, (b"one", b"two"), strict=True):
        ports.serve([dataclasses.replace(forward, target=LOCAL, target_port=number)])
        reader, writer = await asyncio.open_connection("::1", 8080)
        assert await reader.read() == expected
        writer.close()
    ports.release([forward])


def _say(word: bytes, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(word)
    writer.close()


async def test_what_is_reached_directly_takes_nothing_of_the_host(ports: HostPorts) -> None:
    direct = dataclasses.replace(wish("tcp", 80, (ANY4,)), direct=True)
    assert [ports.reserve(direct) for _ in range(2)] == [[Forward("tcp", ANY4, 0, TARGET, 80)]] * 2
    ports.adopt(ports.reserve(direct))
    ports.serve(ports.reserve(direct))
    ports.release(ports.reserve(direct))
    assert ports.reserve(wish("tcp", 80, (ANY4,), 8080, 8080))


async def test_what_is_relayed_already_goes_on(ports: HostPorts) -> None:
    connected = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        writer.write(await reader.read())
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    number = server.sockets[0].getsockname()[1]
    [forward] = ports.reserve(wish("tcp", 80, (A("::1"),), 8080, 8080))
    led = dataclasses.replace(forward, target=LOCAL, target_port=number)
    ports.serve([led])
    reader, writer = await asyncio.open_connection("::1", 8080)
    await connected.wait()
    ports.serve([led])
    writer.write(b"still here")
    writer.write_eof()
    assert await reader.read() == b"still here"
    writer.close()
    ports.release([led])
    server.close()


async def test_a_port_given_back_can_be_taken_at_once(ports: HostPorts) -> None:
    wanted = wish("udp", 80, (A("::1"),), 8080, 8080)
    for _ in range(5):
        forwards = ports.reserve(wanted)
        assert forwards[0].host_port == 8080
        ports.serve(forwards)
        ports.release(forwards)


async def test_relayed_connections_outlive_the_service(ports: HostPorts, directory: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    [forward] = ports.reserve(wish("tcp", 80, (A("::1"),), 8080, 8080))
    led = dataclasses.replace(forward, target=LOCAL, target_port=server.sockets[0].getsockname()[1])
    ports.serve([led])
    reader, writer = await asyncio.open_connection("::1", 8080)
    writer.write(b"begun, ")
    ports.close()
    ports._proxy.close()
    successor = Proxy(directory)
    successor.open()
    after = HostPorts(successor)
    after.adopt([led])
    after.serve([led])
    successor.sweep()
    writer.write(b"ended")
    writer.write_eof()
    assert await reader.read() == b"BEGUN, ENDED"
    writer.close()
    reader, writer = await asyncio.open_connection("::1", 8080)
    writer.write_eof()
    assert await reader.read() == b""
    after.release([led])
    successor.close()
    server.close()


async def test_a_port_that_is_to_be_avoided_is_not_chosen_but_had_by_its_number(ports: HostPorts) -> None:
    ports.avoid = lambda protocol, port: (protocol, port) == ("tcp", 40000)
    assert [each.host_port for each in ports.reserve(wish("tcp", 80, (ANY4,)))] == [40001]
    assert [each.host_port for each in ports.reserve(wish("tcp", 81, (ANY4,), 40000, 40002))] == [40002]
    assert [each.host_port for each in ports.reserve(wish("tcp", 82, (ANY4,), 40000, 40000))] == [40000]
    ports.avoid = lambda protocol, port: True
    for first, last in ((8080, 8081), (0, 0)):
        with pytest.raises(ResourceExhausted):
            ports.reserve(wish("tcp", 80, (ANY4,), first, last))


async def test_what_holds_a_port_for_others_gives_way(ports: HostPorts) -> None:
    with socket.create_server(("0.0.0.0", 0)) as held:
        number = held.getsockname()[1]

        def give_way(protocol: str, port: int) -> bool:
            held.close()
            return (protocol, port) == ("tcp", number)

        ports.give_way = give_way
        assert len(ports.reserve(wish("tcp", 80, (ANY4,), number, number))) == 1


async def test_hosts_begin_at_different_places(host_network: None, proxy: Proxy) -> None:
    chosen = {
        HostPorts(proxy, lambda: (40000, 50000), place).reserve(wish("tcp", 80, (ANY4,)))[0].host_port
        for place in ("n1", "n2", "n3")
    }
    assert len(chosen) == 3
    assert all(40000 <= port <= 50000 for port in chosen)
