import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.scheduler.adapters.door import Door
from shared.cluster import Place
from shared.contracts.scheduler import JoinReply, JoinRequest
from shared.errors import AlreadyExists, PermissionDenied, Unauthenticated, Unavailable
from shared.joining import Token
from tests.support.certified import certify
from tests.support.ports import free_port
from tools.cluster.knock import knock

ASKED = JoinRequest(secret="s", node="n", name="node2", address="a", request="r", link="U")


@contextmanager
def door(files: Path) -> Iterator[tuple[Place, list[JoinRequest]]]:
    """A hub's door, and who said a secret to it."""
    heard: list[JoinRequest] = []
    place, ready, loop = Place("127.0.0.1", free_port()), threading.Event(), asyncio.new_event_loop()

    async def admit(request: JoinRequest) -> JoinReply:
        heard.append(request)
        if request.name == "taken":
            raise AlreadyExists("the name is taken")
        return JoinReply(cluster="c1")

    async def serve() -> None:
        made = Door(files, admit)
        await made.open(*place)
        ready.set()
        await stop.wait()
        await made.close()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    try:
        yield place, heard
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def test_let_in(tmp_path):
    token = certify(tmp_path)
    with door(tmp_path) as (place, heard):
        assert knock(place, token, ASKED) == JoinReply(cluster="c1")
        assert heard == [ASKED]
        with pytest.raises(PermissionDenied, match="refuses: the name is taken"):
            knock(place, token, JoinRequest(secret="s", node="n", name="taken", address="a", request="r", link="U"))


def test_nothing_is_told_to_another_cluster(tmp_path):
    certify(tmp_path)
    with door(tmp_path) as (place, heard):
        with pytest.raises(Unauthenticated, match="not of the cluster that the token was made in"):
            knock(place, Token.new("a" * 52), ASKED)
        assert heard == []


def test_nothing_is_told_to_who_only_shows_the_authority(tmp_path):
    token = certify(tmp_path / "real")
    certify(tmp_path / "false")
    (tmp_path / "false/ca.crt").write_bytes((tmp_path / "real/ca.crt").read_bytes())
    with door(tmp_path / "false") as (place, heard):
        with pytest.raises(Unauthenticated, match="not by the cluster's authority"):
            knock(place, token, ASKED)
        assert heard == []


def test_nobody_there():
    with pytest.raises(Unavailable, match="does not let hosts join"):
        knock(Place("127.0.0.1", free_port()), Token.new("a" * 52), ASKED)


def test_somebody_who_speaks_no_tls():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: listening.accept()[0].sendall(b"hello\n" * 100))
        thread.start()
        with pytest.raises(Unavailable, match="does not let hosts join"):
            knock(Place(*listening.getsockname()), Token.new("a" * 52), ASKED)
        thread.join()
