"""Join tokens: they name the cluster's authority, so that a newcomer knows whom it speaks to, and hold a secret.

    SHOAL-1-<fingerprint of the authority, 52 letters>-<secret, 26 letters>

as Swarm's tokens (`SWMTKN-1-...`) do. What is kept of a secret is its SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from typing import NamedTuple

from shared.errors import InvalidArgument

_FORM = re.compile(r"SHOAL-1-(?P<authority>[a-z2-7]{52})-(?P<secret>[a-z2-7]{26})")


class Token(NamedTuple):
    """One token: the fingerprint of the authority (`shared.pki.fingerprint`) and the secret."""

    authority: str
    secret: str

    @classmethod
    def new(cls, authority: str) -> Token:
        """With a fresh secret of 128 random bits."""
        return cls(authority, base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower())

    @classmethod
    def parse(cls, text: str) -> Token:
        """Reads a token; `InvalidArgument` when it is none (the text is not repeated: it may be a secret)."""
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise InvalidArgument("this is no join token; make one on a host of the cluster: shoal cluster token")
        return cls(found["authority"], found["secret"])

    def __str__(self) -> str:
        return f"SHOAL-1-{self.authority}-{self.secret}"


def digest(secret: str) -> str:
    """What is kept of a secret: 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()
