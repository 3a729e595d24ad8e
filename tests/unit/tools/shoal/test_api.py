import socket
import threading

import pytest

from shared.errors import NotFound, ShoalError, Unavailable
from tests.support.answers import answering
from tools.shoal.api import call, lines, request


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [(200, b'[{"Id": "a"}]', [{"Id": "a"}]), (204, b"", None), (200, b"OK", "OK")],
)
def test_answers_are_decoded(tmp_path, status, body, expected):
    with answering(tmp_path / "s", {"GET /x": (status, body)}) as asked:
        assert call(tmp_path / "s", "GET", "/x?all=1") == expected
    assert asked == ["GET /x"]


def test_the_body_as_it_came(tmp_path):
    with answering(tmp_path / "s", {"POST /x": (200, b"\x00[1]")}):
        assert request(tmp_path / "s", "POST", "/x", b"content") == b"\x00[1]"


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (404, b'{"message": "No such container: x"}', NotFound, "No such container: x"),
        (500, b"", ShoalError, "status 500"),
        (400, b"[]", ShoalError, "status 400"),
    ],
)
def test_an_error_carries_the_engines_message(tmp_path, status, body, kind, message):
    with answering(tmp_path / "s", {"POST /x": (status, body)}), pytest.raises(kind, match=message):
        call(tmp_path / "s", "POST", "/x")


def test_nobody_there_says_what_to_do(tmp_path):
    with pytest.raises(Unavailable, match="shoal up"):
        call(tmp_path / "none", "GET", "/_ping")


def test_lines_end_where_the_answer_is_broken_off(tmp_path):
    """As the gateway does when the service behind it is gone: without a last chunk."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert list(lines(tmp_path / "s", "POST", "/x", b"{}")) == [b"one\n", b"two\n"]
        thread.join()
