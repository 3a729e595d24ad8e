"""Requests that are no proper HTTP, slow clients, clients that go away: the engine still answers everybody else."""

import json
import socket
import threading
from collections.abc import Mapping

import pytest

from tests.support.engine import IMAGE, Engine

pytestmark = pytest.mark.beyond_reference("dockerd answers about half of these with 5xx")
CREATE = "/v1.41/containers/create"


def raw_answer(engine: Engine, request: bytes) -> bytes:
    """What comes back until the engine closes or says nothing more for a while."""
    with engine.raw(timeout=5) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
        except OSError:  # answered and closed before all was sent
            pass
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except OSError:
            pass
    return received


RAW: Mapping[str, bytes] = {
    "no http": b"\0\1\2\3\4\r\n\r\n",
    "tls": bytes.fromhex("16030100f8010000f40303") + b"x" * 100,
    "no version": b"GET /_ping\r\n\r\n",
    "wrong version": b"GET /_ping HTTP/9.9\r\nHost: x\r\n\r\n",
    "huge path": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "huge header": b"GET /_ping HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "many headers": b"GET /_ping HTTP/1.1\r\nHost: x\r\n"
    + b"".join(b"X%d: y\r\n" % n for n in range(50_000))
    + b"\r\n",
    "header without colon": b"GET /_ping HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "length and chunked": b"POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Content-Length: 6\r\n\r\nabcdef",
    "negative length": b"POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length is text": b"POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
    "chunk size": b"POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "huge chunk": b"POST /v1.41/containers/create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"f" * 40
    + b"\r\n",
    "line feeds in the path": b"GET /containers/\r\n/json HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", RAW.values(), ids=RAW.keys())
def test_raw(engine: Engine, request_bytes: bytes) -> None:
    received = raw_answer(engine, request_bytes)
    assert received == b"" or received.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4", b"HTTP/1.1 505")), received[:300]
    assert b"Traceback" not in received
    assert engine.call("GET", "/_ping").status == 200


def test_body_that_is_too_large(engine: Engine) -> None:
    head = f"POST {CREATE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {1 << 40}\r\n\r\n"
    assert raw_answer(engine, head.encode() + b"x" * (1 << 20)).startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))


def test_body_that_is_too_large_in_chunks(engine: Engine) -> None:
    """Never more than a bounded part of it is kept."""
    head = f"POST {CREATE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    with engine.raw(timeout=10) as connection:
        connection.sendall(head.encode())
        try:
            for _ in range(256):
                connection.sendall(chunk)
        except OSError:
            pass
        try:
            received = connection.recv(65536)
        except ConnectionResetError:
            received = b""
    assert received == b"" or received.startswith(b"HTTP/1.1 413"), received
    assert engine.call("GET", "/_ping").status == 200


def test_half_sent_requests_and_slow_clients_hold_nobody_up(engine: Engine) -> None:
    halves = [b"", b"G", b"GET /_ping HTTP/1.1\r\n", b"GET /_ping HTTP/1.1\r\nHost: x\r\nX: "]
    halves.append(
        f"POST {CREATE} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{{".encode()
    )
    waiting = []
    for number in range(200):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(engine.path)
        connection.sendall(halves[number % len(halves)])
        waiting.append(connection)
    try:
        assert engine.call("GET", "/_ping", timeout=5).status == 200
        assert engine.run(IMAGE, "echo", "x") == "x"
    finally:
        for connection in waiting:
            connection.close()
    assert engine.ok("ps", "-aq") == ""


def test_a_client_that_does_not_read_holds_nobody_up(engine: Engine) -> None:
    identity = engine.start(
        IMAGE, "sh", "-c", "yes 0123456789012345678901234567890123456789 | head -c 20000000; sleep 100"
    )
    with engine.raw() as connection:
        connection.sendall(
            f"GET /v1.41/containers/{identity}/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert len(engine.docker_bytes("logs", identity).stdout) >= 0
        assert engine.run(IMAGE, "echo", "x") == "x"


def test_pipelined_requests_are_answered_in_order(engine: Engine) -> None:
    received = raw_answer(
        engine,
        b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n" * 5 + b"GET /nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    assert received.count(b"HTTP/1.1 200") == 5
    assert received.count(b"HTTP/1.1 404") == 1
    assert received.rindex(b"HTTP/1.1 200") < received.index(b"HTTP/1.1 404")


def test_clients_that_go_away(engine: Engine) -> None:
    identity = engine.start("-i", IMAGE, "cat")
    for path in (f"containers/{identity}/logs?follow=1&stdout=1", "events", f"containers/{identity}/stats"):
        for _ in range(20):
            with engine.raw() as connection:
                connection.sendall(f"GET /v1.41/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    for _ in range(20):
        with engine.raw() as connection:
            path = f"/v1.41/containers/{identity}/attach?stream=1&stdin=1&stdout=1"
            connection.sendall(
                f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".encode()
            )
    assert engine.inspect(identity)["State"]["Running"] in (True, False)
    assert engine.run(IMAGE, "echo", "x") == "x"


def test_a_hundred_creations_at_once_of_one_name(engine: Engine) -> None:
    """One wins, the others get a conflict."""
    statuses = []

    def create() -> None:
        statuses.append(engine.call("POST", f"{CREATE}?name=wanted", {"Image": IMAGE}).status)

    threads = [threading.Thread(target=create) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] + [409] * 29
    assert json.loads(engine.call("GET", "/containers/json?all=1").body)[0]["Names"] == ["/wanted"]
