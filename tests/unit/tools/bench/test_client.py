import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.bench.client import (
    Api,
    ApiError,
    Incomplete,
    body_of,
    dechunk,
    payload_size,
    receive_all,
    receive_head,
    request,
)


def chunked(parts: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=20))
def test_dechunk_joins_the_chunks(parts: list[bytes]) -> None:
    assert dechunk(chunked(parts)) == b"".join(parts)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3]), st.binary(max_size=50)), max_size=20))
def test_payload_of_frames_is_counted_without_their_heads(frames: list[tuple[int, bytes]]) -> None:
    stream = b"".join(struct.pack(">BxxxI", kind, len(data)) + data for kind, data in frames)
    assert payload_size(stream) == sum(len(data) for _, data in frames)


def test_payload_of_a_raw_stream_is_all_of_it() -> None:
    assert payload_size(b"just some text") == 14
    assert payload_size(struct.pack(">BxxxI", 1, 100) + b"cut") == 3


def test_body_of_an_answer() -> None:
    assert body_of(b"HTTP/1.1 200 OK\r\n\r\nplain") == b"plain"
    assert body_of(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked([b"a", b"b"])) == b"ab"
    with pytest.raises(ApiError, match="404: gone"):
        body_of(b"HTTP/1.1 404 Not Found\r\n\r\ngone\n")


def test_request_bytes() -> None:
    assert request("POST", "/x", {"Connection": "close"}, {"a": 1}) == (
        b"POST /v1.41/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\nContent-Type: application/json\r\n"
        b'Connection: close\r\n\r\n{"a": 1}'
    )


def test_head_and_rest() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\n\r\nfirst")
        theirs.shutdown(socket.SHUT_WR)
        assert receive_head(ours).endswith(b"first")
        assert receive_all(ours) == b""
        with pytest.raises(Incomplete):
            receive_head(ours)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Answers one request on each connection and closes it, as engines do with connections that idle."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "sock"))
    listener.listen()

    def serve() -> None:
        for body in (b'{"a":1}', b'{"b":2}'):
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    thread = threading.Thread(target=serve)
    thread.start()
    yield str(tmp_path / "sock")
    thread.join()
    listener.close()


def test_calls_over_a_connection_that_was_ended_meanwhile(server: str) -> None:
    api = Api(server)
    assert api.json("GET", "/one") == {"a": 1}
    assert api.json("GET", "/two") == {"b": 2}
    api.close()
