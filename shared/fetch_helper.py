"""The process that fetches what a Dockerfile or a client names by URL: no capability, little memory, http(s) only.

`python -m shared.fetch_helper URL`. A JSON line says what comes, or why nothing does (`error`);
then the bytes. Proxies are those of the engine's environment.
"""

from __future__ import annotations

import email.message
import email.utils
import json
import os
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request

from .archive import confine

MEMORY = 1 << 30
TIMEOUT = 60.0
CHUNK = 1 << 18
MOST_TOLD = 4096
HANDLERS = (
    urllib.request.ProxyHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.HTTPRedirectHandler,
    urllib.request.HTTPErrorProcessor,
)


def main(url: str) -> None:
    """Fetches it to standard output."""
    confine.die_with_parent()
    confine.limit_memory(MEMORY)
    confine.keep_capabilities(())
    opener = urllib.request.OpenerDirector()
    for handler in HANDLERS:
        opener.add_handler(handler())
    request = urllib.request.Request(url, headers={"User-Agent": "shoal"})
    try:
        answer = opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        told = error.read(MOST_TOLD).decode(errors="replace").strip()
        _say({"error": f"failed to GET {url} with status {error.code} {error.reason}: {told}"})
        return
    except (OSError, ValueError) as error:
        _say({"error": f"Get {json.dumps(url)}: {_why(url, getattr(error, 'reason', error))}"})
        return
    with answer:
        _say({"name": name_of(url, answer.headers), "modified": modified(answer.headers), "size": answer.length or 0})
        while data := answer.read(CHUNK):
            _write(data)
        if answer.length:
            raise SystemExit(1)  # it said that more would come


def _why(url: str, error: object) -> str:
    """Why no connection came about, in the words of Go's HTTP client, which Docker's users know."""
    parts = urllib.parse.urlsplit(url)
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {parts.hostname}: no such host"
    if isinstance(error, ConnectionError) and error.errno:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return f"dial tcp {parts.hostname}:{port}: connect: {os.strerror(error.errno).lower()}"
    return str(error)


def name_of(url: str, headers: email.message.Message) -> str:
    """The last part of the path, else what the server calls it; "" for neither."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    if path and not path.endswith("/"):
        return path.rpartition("/")[2]
    given = headers.get_filename() or ""
    return "" if given.endswith("/") else given.rpartition("/")[2]


def modified(headers: email.message.Message) -> int:
    """Seconds since the epoch; 0 when the server does not say."""
    parsed = email.utils.parsedate_to_datetime(headers["Last-Modified"]) if headers["Last-Modified"] else None
    return max(0, int(parsed.timestamp())) if parsed else 0


def _say(line: dict[str, object]) -> None:
    _write(json.dumps(line).encode() + b"\n")


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


if __name__ == "__main__":
    main(sys.argv[1])
