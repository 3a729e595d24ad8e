"""The service's side of the userland proxy (`services/network/proxy`), which is started when it is first needed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..proxy import messages
from ..proxy.messages import Message

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 10.0
"""Seconds the proxy may take for what it does in microseconds; it may have to be started on a busy host first."""
IDLE = 30.0
"""Seconds after which a proxy that keeps nothing is let go: it takes 7 MB."""
Target = tuple[str, str, int]
"""Protocol (`tcp` or `udp`), address and port that something is relayed to."""
Entry = tuple[list[socket.socket], Target | None]


class Proxy:
    """Entries that go on without this service. Belongs to one event loop; nothing here waits but `settle`.

    A proxy that dies is replaced by another with the same entries; what it relayed is lost, what it kept is not.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "proxy.sock"
        self._connection: socket.socket | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._entries: dict[str, Entry] = {}
        self._found: dict[str, Entry] = {}
        self._pending = 0
        self._settled: asyncio.Future[None] | None = None
        self._idle: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Takes over the proxy of the service before this one, if there is one."""
        connection = _packets()
        connection.settimeout(PATIENCE)
        try:
            connection.connect(str(self._path))
            self._connection = connection
            while (heard := self._hear())[0].verb != messages.ALL:
                self._found[heard[0].key] = (heard[1], heard[0].target)
            self._pid = int(heard[0].key)
        except (OSError, ValueError) as error:
            if not isinstance(error, FileNotFoundError | ConnectionRefusedError):
                log.warning("the userland proxy cannot be taken over: %s", error)
            self._part()
            return
        self._listen()

    def found(self, key: str) -> list[socket.socket]:
        """The sockets that were kept under this key for the service before, now the caller's; empty: none.

        They are kept, and what they relay goes on, as they were.
        """
        if (entry := self._found.pop(key, None)) is None:
            return []
        self._entries[key] = entry
        return list(entry[0])

    def sweep(self) -> None:
        """Lets go of what was found and not asked for."""
        for key in tuple(self._found):
            for each in self.found(key):
                each.close()
            self.drop(key)

    def hold(self, key: str, sockets: Sequence[socket.socket], target: Target | None = None) -> None:
        """Keeps the sockets until `drop`, and relays what arrives at the first of them. They stay the caller's, too.

        Under a key that is known, what was relayed elsewhere ends; what is kept so already goes on.
        """
        entry = (list(sockets), target)
        before = self._entries.get(key)
        if before == entry:
            return
        self._entries[key] = entry
        if self._connection is None:
            self._start()
        else:
            self._say(Message(messages.HOLD, key, target), sockets)
            self._pending += before is not None

    def drop(self, key: str) -> None:
        """Lets go of an entry, if there is one: a moment later its sockets are closed, what they relayed at its end."""
        if self._entries.pop(key, None) is not None:
            self._say(Message(messages.DROP, key))
            self._pending += 1

    def settle(self) -> bool:
        """Returns when what was dropped or leads elsewhere has ended; whether there was anything to wait for."""
        waited = False
        while self._pending and self._connection is not None:
            waited = True
            self._on_word()
        return waited

    async def settled(self) -> None:
        """As `settle`, without keeping others waiting."""
        if self._pending and self._connection is not None:
            if self._settled is None:
                self._settled = asyncio.get_running_loop().create_future()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._settled), PATIENCE)

    def close(self) -> None:
        """The proxy goes on with what it has."""
        self._part()

    def _start(self) -> None:
        """Starts a proxy and gives it all entries. It may be slow to come up: its sockets are there before it is."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with _packets() as listener, theirs:
            listener.bind(str(self._path))
            self._path.chmod(0o600)
            listener.listen(1)
            command = [sys.executable, "-S", "-P", "-m", f"{__package__.rpartition('.')[0]}.proxy"]
            descriptors = (listener.fileno(), theirs.fileno())
            self._child = subprocess.Popen(
                [*command, str(self._folder), *map(str, descriptors)],
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )
        ours.settimeout(PATIENCE)
        self._connection, self._pid = ours, self._child.pid
        self._listen()
        for key, (sockets, target) in self._entries.items():
            self._say(Message(messages.HOLD, key, target), sockets)

    def _listen(self) -> None:
        assert self._connection is not None
        asyncio.get_running_loop().add_reader(self._connection.fileno(), self._on_word)

    def _part(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._connection is not None:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._connection.fileno())
            self._connection.close()
            self._connection = None

    def _say(self, message: Message, sockets: Sequence[socket.socket] = ()) -> None:
        if self._connection is None:
            return
        try:
            socket.send_fds(self._connection, [message.encode()], [each.fileno() for each in sockets])
        except TimeoutError as error:
            self._replace(error)
        except OSError:
            return  # its end is seen by who listens to it

    def _hear(self) -> tuple[Message, list[socket.socket]]:
        assert self._connection is not None
        data, descriptors, *_ = socket.recv_fds(self._connection, messages.LONGEST, messages.DESCRIPTORS)
        if not data:
            raise ConnectionResetError("it has ended")
        return messages.decode(data), [socket.socket(fileno=number) for number in descriptors]

    def _on_word(self) -> None:
        try:
            if self._hear()[0].verb == messages.DONE:
                self._done(self._pending - 1)
        except OSError as error:
            self._replace(error)

    def _done(self, pending: int) -> None:
        self._pending = pending
        if pending <= 0 and self._settled is not None:
            self._settled.set_result(None)
            self._settled = None
        if pending <= 0 and not self._entries and self._connection is not None and self._idle is None:
            self._idle = asyncio.get_running_loop().call_later(IDLE, self._let_go)

    def _let_go(self) -> None:
        """Nothing more will be said to it: if it keeps nothing it ends, which is seen as any other end of it is."""
        self._idle = None
        if self._connection is not None and not self._entries and not self._pending:
            self._connection.shutdown(socket.SHUT_WR)

    def _replace(self, error: OSError) -> None:
        if self._entries or isinstance(error, TimeoutError):
            log.warning("the userland proxy does not go on: %s", error)
        self._part()
        self._done(0)
        if isinstance(error, TimeoutError):
            os.kill(self._pid, signal.SIGKILL)  # it lives and hangs: what it holds must not stay held
        if self._child is not None:
            self._child.wait()
            self._child = None
        if self._entries:
            self._start()


def _packets() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
