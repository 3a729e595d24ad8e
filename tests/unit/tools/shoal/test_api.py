import socket
import threading

import pytest

from shared.errors import ShoalError, Unavailable
from tools.shoal.api import call


@pytest.fixture
def answering(tmp_path):
    """Serves one request with a given answer; tells the path and what was asked."""
    asked: list[bytes] = []
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()
    threads: list[threading.Thread] = []

    def answer(status: str, body: str):
        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(65536))
                connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return tmp_path / "s", asked

    yield answer
    for thread in threads:
        thread.join()
    listening.close()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [("200 OK", '[{"Id": "a"}]', [{"Id": "a"}]), ("204 No Content", "", None), ("200 OK", "OK", "OK")],
)
def test_answers_are_decoded(answering, status, body, expected):
    path, asked = answering(status, body)
    assert call(path, "GET", "/x") == expected
    assert asked[0].startswith(b"GET /x HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("body", "message"), [('{"message": "No such container: x"}', "No such container: x"), ("", "status 404")]
)
def test_an_error_carries_the_engines_message(answering, body, message):
    path, _ = answering("404 Not Found", body)
    with pytest.raises(ShoalError, match=message):
        call(path, "POST", "/containers/x/stop")


def test_nobody_there_says_what_to_do(tmp_path):
    with pytest.raises(Unavailable, match="shoal up"):
        call(tmp_path / "none", "GET", "/_ping")
