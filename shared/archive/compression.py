"""Recognising compressed bytes by their beginning; a media type is only what a stranger says about them."""

from __future__ import annotations

from typing import Literal

Compression = Literal["none", "gzip", "zstd", "bzip2", "xz"]
HEAD = 6
"""Bytes that `recognise` needs at most."""

_MAGIC: tuple[tuple[bytes, Compression], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)
_LAYER = "application/vnd.oci.image.layer.v1.tar"
MEDIA_TYPES: dict[Compression, str] = {"none": _LAYER, "gzip": f"{_LAYER}+gzip", "zstd": f"{_LAYER}+zstd"}
"""Media types of layers; the OCI image-spec knows no other compression."""


def recognise(head: bytes) -> Compression:
    """How the stream that begins so is compressed."""
    for magic, compression in _MAGIC:
        if head.startswith(magic):
            return compression
    return "none"
