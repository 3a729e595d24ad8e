"""A stand-in for an engine's socket that gives prepared answers and notes what was asked."""

from __future__ import annotations

import http.server
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Answers = Mapping[str, tuple[int, bytes]]


class _Handler(http.server.BaseHTTPRequestHandler):
    answers: Answers
    asked: list[str]

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        request = f"{self.command} {self.path.partition('?')[0]}"
        self.asked.append(request)
        status, body = self.answers[request]
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815  # names that the base class calls

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing."""


@contextmanager
def answering(path: Path, answers: Answers) -> Iterator[list[str]]:
    """Serves `METHOD /target` without query by (status, body) at a unix socket; yields what is asked, in order."""
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"answers": answers, "asked": asked})
    with socketserver.ThreadingUnixStreamServer(str(path), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()
