"""Digests and the identifiers made of them (OCI image-spec, «Digests» and «Layer ChainID»)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from shared.errors import InvalidArgument

SHORT = 12
"""Hexadecimal digits of an identifier that Docker shows to people."""
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}\Z")
_FORM = re.compile(r"[A-Za-z0-9_+.-]+:[0-9a-zA-Z=_-]+\Z")
_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


def digest_of(data: bytes) -> str:
    """`sha256:<hex>` of these bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def is_sha256(text: str) -> bool:
    """Whether it is `sha256:` and 64 lower-case hexadecimal digits."""
    return _SHA256.match(text) is not None


def check_sha256(text: str, what: str) -> str:
    """The digest itself; raises `InvalidArgument` naming `what` when it is anything but a sha256 digest."""
    if not is_sha256(text):
        raise InvalidArgument(f"{what}: not a sha256 digest: {text[:100]!r}")
    return text


def check_digest(text: str) -> str:
    """A digest of any registered algorithm, with go-digest's texts for what is wrong."""
    if not _FORM.match(text):
        raise InvalidArgument("invalid checksum digest format")
    algorithm, _, encoded = text.partition(":")
    if algorithm not in _LENGTHS:
        raise InvalidArgument("unsupported digest algorithm")
    if len(encoded) != _LENGTHS[algorithm]:
        raise InvalidArgument("invalid checksum digest length")
    if not re.fullmatch(r"[0-9a-f]+", encoded):
        raise InvalidArgument("invalid checksum digest format")
    return text


def hex_of(digest: str) -> str:
    """The part after the algorithm: the name of the blob's file."""
    return digest.partition(":")[2]


def short(identifier: str) -> str:
    """The first twelve digits, without the algorithm."""
    return (hex_of(identifier) if ":" in identifier else identifier)[:SHORT]


def chain_ids(diff_ids: Iterable[str]) -> tuple[str, ...]:
    """The chain id of each layer, lowest first: what it and all layers below it amount to."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest_of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)
