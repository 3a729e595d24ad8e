"""Leases as files: what work that may be gone on with has taken in, past the end of its process."""

from __future__ import annotations

import os
import secrets

import msgspec

from ..ports import Kept
from .layout import StoreLayout


class LocalLeases:
    """`leases/<name>`, JSON. Not synced: a lease lost with the power costs work that is done again."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout

    def read(self) -> dict[str, Kept]:
        found = {}
        for path in self._layout.leases.iterdir():
            try:
                found[path.name] = msgspec.json.decode(path.read_bytes(), type=Kept)
            except (OSError, msgspec.DecodeError):
                path.unlink(missing_ok=True)  # torn by a power cut
        return found

    def put(self, name: str, kept: Kept) -> None:
        temporary = self._layout.ingest / secrets.token_hex(8)
        try:
            temporary.write_bytes(msgspec.json.encode(kept))
            os.rename(temporary, self._layout.leases / name)
        except OSError:  # a full disk, for one
            temporary.unlink(missing_ok=True)
            raise

    def drop(self, name: str) -> None:
        (self._layout.leases / name).unlink(missing_ok=True)
