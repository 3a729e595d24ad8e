"""An OTLP collector that keeps what it gets."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.namespaces import socket_in

SECONDS = 60


@dataclass(frozen=True)
class Exported:
    """A span as it came."""

    service: str
    trace: str
    name: str


@dataclass
class Collector:
    """`url` is what OTEL_EXPORTER_OTLP_ENDPOINT is set to."""

    url: str
    _arrived: queue.Queue[Exported] = field(default_factory=queue.Queue)

    def add(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = [each.value.string_value for each in resource.resource.attributes if each.key == "service.name"]
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                self._arrived.put(Exported(names[0], span.trace_id.hex(), span.name))

    def until(self, enough: Callable[[Sequence[Exported]], bool]) -> bool:
        """True once the spans that have come are enough, False when no more come for a minute."""
        found: list[Exported] = []
        while not enough(found):
            try:
                found.append(self._arrived.get(timeout=SECONDS))
            except queue.Empty:
                return False
        return True


@contextmanager
def collector(netns: Path) -> Iterator[Collector]:
    """Listens at 127.0.0.1 of a network namespace."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            kept.add(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = socket_in(netns, socket.SOCK_STREAM, socket.AF_INET)
        server.server_bind()
        server.server_activate()
        kept = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()
