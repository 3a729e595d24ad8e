from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from services.builder.adapters.fetch import fetch
from services.builder.adapters.spool import Spools
from shared.errors import InvalidArgument


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/f.txt")
            self.end_headers()
            return
        self.send_response(404 if self.path == "/none" else 200)
        self.send_header("Last-Modified", "Thu, 01 Jan 1970 00:01:00 GMT")
        self.send_header("Content-Length", "10" if self.path == "/cut" else "4")
        self.end_headers()
        self.wfile.write(b"text")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


async def test_a_file(server: str, spools: Spools) -> None:
    fetched = await fetch(f"{server}/a/f.txt?x", spools, 100)
    assert (spools.read(fetched.spool, 0, 9), fetched.name, fetched.modified) == (b"text", "f.txt", 60)
    assert (await fetch(f"{server}/moved", spools, 100)).name == "moved"


@pytest.mark.parametrize(
    ("path", "why"),
    [("/none", "with status 404 Not Found: text"), ("/big", "larger than 3 bytes"), ("/cut", "broken off")],
)
async def test_what_cannot_be_had(server: str, spools: Spools, path: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        await fetch(f"{server}{path}", spools, 3 if path == "/big" else 100)


async def test_nobody_there(spools: Spools) -> None:
    with pytest.raises(InvalidArgument, match="refused"):
        await fetch("http://127.0.0.1:1/x", spools, 100)
