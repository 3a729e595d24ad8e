"""What a layer's entry may do: as any archive's, and whiteouts (OCI image-spec, «Whiteouts»)."""

from __future__ import annotations

from shared.archive import entries, tar
from shared.archive.entries import EntryError, Step, inside

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


def step(header: tar.Header) -> Step:
    """The step for an entry; raises `EntryError` for one that leads outside, or that nobody can make."""
    parent, _, name = inside(header.name).rpartition("/")
    if name.startswith(WHITEOUT):
        return _whiteout(parent, name)
    return entries.step(header)


def _whiteout(parent: str, name: str) -> Step:
    """aufs' own bookkeeping (`.wh..wh.*`) is left out."""
    if name == OPAQUE:
        return Step("opaque", parent, "")
    hidden = name.removeprefix(WHITEOUT)
    if hidden.startswith(WHITEOUT):
        return Step("ignore", parent, name)
    if hidden in ("", ".", ".."):
        raise EntryError(f"invalid whiteout {name!r}")
    return Step("whiteout", parent, hidden)
