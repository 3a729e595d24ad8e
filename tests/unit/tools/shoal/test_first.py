import json
import socket
import threading

from hypothesis import given
from hypothesis import strategies as st

from tools.shoal.first import has_image, plain, run_with_api


def frame(kind: int, data: bytes) -> bytes:
    return bytes((kind, 0, 0, 0)) + len(data).to_bytes(4) + data


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.text(max_size=50))))
def test_framed_logs_become_their_text(frames):
    stream = b"".join(frame(kind, text.encode()) for kind, text in frames)
    assert plain(stream) == "".join(text for _, text in frames)


def test_the_container_is_removed_whatever_it_did(tmp_path):
    answers = {
        "GET /images/busybox/json": (404, b'{"message": "No such image: busybox"}'),
        "POST /containers/create": (201, json.dumps({"Id": "c1"}).encode()),
        "POST /containers/c1/start": (204, b""),
        "POST /containers/c1/wait": (200, b'{"StatusCode": 0}'),
        "GET /containers/c1/logs": (200, frame(1, b"hello\n")),
        "DELETE /containers/c1": (204, b""),
    }
    asked: list[str] = []
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()

    def serve() -> None:
        for _ in answers:
            connection, _ = listening.accept()
            with connection:
                request = connection.recv(65536).split(b" HTTP")[0].decode().partition("?")[0]
                asked.append(request)
                status, body = answers[request]
                connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    thread = threading.Thread(target=serve)
    thread.start()
    assert not has_image(tmp_path / "s")
    assert run_with_api(tmp_path / "s") == "hello\n"
    thread.join()
    listening.close()
    assert asked == list(answers)
