import socket
import threading

from shared.config import Settings
from tools.shoal.down import stop_containers, stop_engine


def test_an_engine_that_does_not_run_needs_no_stopping(tmp_path):
    assert stop_engine(Settings(run_dir=str(tmp_path), state_dir=str(tmp_path)), 1) == []


def test_every_running_container_is_asked_to_stop(tmp_path):
    asked: list[str] = []
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "docker.sock"))
    listening.listen()

    def serve() -> None:
        for _ in range(3):
            connection, _ = listening.accept()
            with connection:
                asked.append(connection.recv(65536).split(b" HTTP")[0].decode())
                body = '[{"Id": "a"}, {"Id": "b"}]' if "json" in asked[-1] else ""
                connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    thread = threading.Thread(target=serve)
    thread.start()
    stop_containers(Settings(run_dir=str(tmp_path)))
    thread.join()
    listening.close()
    assert asked[0] == "GET /containers/json"
    assert sorted(asked[1:]) == ["POST /containers/a/stop", "POST /containers/b/stop"]
