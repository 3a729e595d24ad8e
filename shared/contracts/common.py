"""Messages that several contracts use."""

from __future__ import annotations

from typing import Literal

from shared.contracts.base import Message


class Platform(Message, frozen=True):
    """OCI image platform (image-spec, `platform` of a descriptor)."""

    os: str = "linux"
    architecture: str = "amd64"
    variant: str = ""
    os_version: str = ""


class Descriptor(Message, frozen=True):
    """OCI content descriptor: media type, digest (`sha256:<hex>`) and size in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] = {}


class Mount(Message, frozen=True):
    """One mount, as mount(8) and the OCI runtime-spec have it: `options` in fstab words."""

    type: str
    source: str
    destination: str = ""
    options: tuple[str, ...] = ()


class StreamOffer(Message, frozen=True):
    """Where the bytes of a live stream are (`shared.streams`).

    `path` is a unix socket on the server's host: connect, send the ticket (32 ASCII bytes), and the
    stream begins; a ticket that is unknown, taken or has run out is answered by ECONNRESET, and so ends
    a stream that is broken off (the server leaves the ticket's last byte unread until it reads input or
    has done all: a socket that is closed over unread bytes resets its peer, see unix(7)). `stream_id`
    (`<service>.<node>.<id>`) names the same stream on the bus for callers on other hosts, who may come
    directly where `address` (host:port, see `shared.streams.direct`) is given. Whichever way, it can be
    taken once, within 30 seconds. The server's output comes as frames in Docker's multiplexed form
    (1 byte stream, 3 zero bytes, 4 bytes length big endian, payload) when `framed`, else raw; the
    caller's input is raw bytes ended by half-close.
    """

    path: str
    ticket: str
    stream_id: str = ""
    framed: bool = True
    address: str = ""


class Revision(Message, frozen=True):
    """Revision of the last record this call wrote; a reader that waits for it sees the effect."""

    revision: int = 0


class Ref(Message, frozen=True):
    """Names one object by its full id."""

    id: str


class DockerEvent(Message, frozen=True):
    """One event as `docker events` shows it: `time_ns` since the epoch; attributes as Docker has them.

    `revision`, if not 0: whoever has seen the records of the host `node` up to there has seen what is told.
    """

    type: Literal["container", "image", "network", "volume", "daemon", "plugin", "builder", "node", "service"]
    action: str
    actor: str
    attributes: dict[str, str] = {}
    time_ns: int = 0
    scope: Literal["local", "swarm"] = "local"
    node: str = ""
    revision: int = 0


class NameRecord(Message, frozen=True):
    """Value of `names.<kind>.<name>`: who holds the name, and the node whose service took it (empty: not told)."""

    id: str
    node: str = ""


class PruneReport(Message, frozen=True):
    """What a prune removed, and the bytes this freed."""

    removed: tuple[str, ...] = ()
    bytes_freed: int = 0
