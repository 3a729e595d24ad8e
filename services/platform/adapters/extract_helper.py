"""The process that takes apart what is copied into a container: own network, the container's root, six capabilities.

Its standard input is the archive as it comes from the client, plain or compressed. It answers with one line of JSON:
`{}`, or `error` and `kind`. It is forked from a process (`serve`) that has loaded all this and sees no archive.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import traceback
from collections.abc import Iterator
from itertools import chain
from typing import Any, NoReturn

from shared.archive import confine
from shared.archive.compression import HEAD, recognise
from shared.archive.entries import EntryError
from shared.archive.reader import TarReader
from shared.archive.source import CHUNK, LimitError, Limits, Source, load
from shared.archive.tar import TarError

from .copy_tree import CopyTree

MEMORY = 2 << 30
MOST_DESCRIPTORS = 1 << 20
LONGEST = 1 << 16
"""Bytes of a helper's options."""
STDIN, STDOUT, STDERR = 0, 1, 2


def serve(control: int) -> None:
    """Forks a helper for each message of options that comes by this socket, until its other end is closed.

    With them come descriptors: archive, answer, namespace, root, top. What goes back is one of the helper's process.
    """
    confine.die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(fileno=control) as requests:
        while True:
            options, descriptors, _, _ = socket.recv_fds(requests, LONGEST, 5)
            if not options:
                return
            helper = os.fork()
            if not helper:
                _become(json.loads(options), descriptors)
            process = os.pidfd_open(helper)
            socket.send_fds(requests, [b"."], [process])
            for each in (process, *descriptors):
                os.close(each)
            _reap()


def _reap() -> None:
    """Takes the helpers off that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return  # there are none


def _become(options: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """This process is a helper from now on, and ends as one."""
    code = 1
    try:
        archive, answer, namespace, root, top = descriptors
        os.dup2(archive, STDIN)
        os.dup2(answer, STDOUT)
        main(json.dumps(options | {"namespace": namespace, "root": root, "top": top}))
        code = 0
    except Exception:  # noqa: BLE001  # the end of a process: what its interpreter would say, said here
        traceback.print_exc()
    finally:
        os._exit(code)


def main(options: str) -> None:
    """`options` is JSON: descriptors `namespace`, `root` and `top`, `destination`, `keeps_kinds`, `owner`, `limits`."""
    wanted = json.loads(options)
    _close_others({STDIN, STDOUT, STDERR, wanted["namespace"], wanted["root"], wanted["top"]})
    chunks = _chunks(STDIN)
    head = b""
    while len(head) < HEAD and (chunk := next(chunks, b"")):
        head += chunk
    load(recognise(head))
    confine.die_with_parent()
    confine.leave_network()
    confine.limit_memory(MEMORY)
    confine.enter_mounts(wanted["namespace"])  # only there the kernel keeps what something is mounted on
    os.close(wanted["namespace"])
    os.fchdir(wanted["root"])
    os.close(wanted["root"])
    confine.enter_root(".")
    confine.keep_capabilities(confine.WRITING)
    os.umask(0)
    os.write(STDOUT, json.dumps(_done(wanted, chain((head,), chunks))).encode() + b"\n")


def _close_others(kept: set[int]) -> None:
    """Whoever started it may have left some open: none may lead outside."""
    start = 0
    for descriptor in sorted(kept):
        if start < descriptor:  # CPython takes (0, 0) for everything
            os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, MOST_DESCRIPTORS)


def _done(wanted: dict[str, Any], chunks: Iterator[bytes]) -> dict[str, str]:
    try:
        extract(wanted, chunks)
        return {}
    except (TarError, EntryError, LimitError, MemoryError) as error:
        return {"error": str(error) or "the archive takes too much memory", "kind": "invalid_argument"}
    except OSError as error:
        kind = "invalid_argument" if error.errno == errno.EROFS else "resource_exhausted"
        return {"error": f"cannot write: {error.strerror or error}", "kind": kind}


def extract(wanted: dict[str, Any], chunks: Iterator[bytes]) -> None:
    """Unpacks the stream into the directory `top`. An archive without its own end counts, as in Docker."""
    limits, owner = Limits(*wanted["limits"]), wanted["owner"]
    writer = CopyTree(
        limits.bytes, wanted["top"], wanted["destination"], wanted["keeps_kinds"], tuple(owner) if owner else None
    )
    reader = TarReader(Source(chunks, limits, hashed=False), limits)
    for header in reader:
        writer.apply(header, reader.data())
    writer.finish()


def _chunks(descriptor: int) -> Iterator[bytes]:
    """What comes, also from a socket that somebody made non-blocking."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    while True:
        try:
            chunk = os.read(descriptor, CHUNK)
        except BlockingIOError:
            waiting.poll()
            continue
        if not chunk:
            return
        yield chunk
