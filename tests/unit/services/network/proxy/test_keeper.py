from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.network.proxy import messages
from services.network.proxy.keeper import Keeper
from services.network.proxy.messages import Message, decode
from services.network.proxy.poller import Poller


class Service:
    """One end of a connection to the keeper."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        connection.settimeout(60)

    def say(self, message: Message, *sockets: socket.socket) -> None:
        socket.send_fds(self.connection, [message.encode()], [each.fileno() for each in sockets])

    def hear(self) -> tuple[Message, list[int]]:
        data, descriptors, *_ = socket.recv_fds(self.connection, messages.LONGEST, messages.DESCRIPTORS)
        return decode(data), descriptors


class World:
    """A keeper with its socket, in a thread that ends when it does."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "socket")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self.path)
        listener.listen()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.first = Service(ours)
        poller = Poller()
        self.keeper = Keeper(poller, listener, theirs)
        self.thread = threading.Thread(target=poller.run)
        self.thread.start()

    def connect(self) -> Service:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(self.path)
        return Service(connection)


@pytest.fixture
def world(directory: Path) -> Iterator[World]:
    made = World(directory)
    yield made
    made.thread.join(60)
    assert not made.thread.is_alive(), "it ends when it keeps nothing and nobody is there"


def test_what_is_kept_comes_to_the_next_service(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as kept:
        address = kept.getsockname()
        world.first.say(Message(messages.HOLD, "a"), kept, kept)
        world.first.say(Message(messages.HOLD, "b"), kept)
        world.first.say(Message(messages.DROP, "b"))
        assert world.first.hear()[0] == Message(messages.DONE, "b")
    world.first.connection.close()
    second = world.connect()
    message, [one, other] = second.hear()
    assert message == Message(messages.HELD, "a")
    with socket.socket(fileno=one) as again, socket.socket(fileno=other):
        assert again.getsockname() == address
    assert second.hear()[0].verb == messages.ALL
    second.say(Message(messages.DROP, "a"))
    assert second.hear()[0] == Message(messages.DONE, "a")
    with socket.create_server(address):
        second.connection.close()


def test_the_newest_service_is_heard(world: World) -> None:
    second = world.connect()
    assert second.hear()[0].verb == messages.ALL
    assert world.first.connection.recv(1) == b""
    second.connection.close()


def test_what_is_relayed_can_be_led_elsewhere(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as entry, socket.create_server(("127.0.0.1", 0)) as target:
        world.first.say(Message(messages.HOLD, "a", ("tcp", "127.0.0.1", 1)), entry)
        world.first.say(Message(messages.HOLD, "a", ("tcp", *target.getsockname())), entry)
        assert world.first.hear()[0] == Message(messages.DONE, "a")
        with socket.create_connection(entry.getsockname()) as client, target.accept()[0] as server:
            client.sendall(b"hello")
            assert server.recv(5) == b"hello"
            world.first.say(Message(messages.DROP, "a"))
            assert world.first.hear()[0] == Message(messages.DONE, "a")
            assert server.recv(1) == b""
    world.first.connection.close()
