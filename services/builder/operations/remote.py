"""Contexts that the client only names: an archive or a Dockerfile at a URL, a git repository."""

from __future__ import annotations

import re

from shared.errors import InvalidArgument, NotImplementedYet

from .context import Context
from .engine import Build

_URL = re.compile(r"https?://", re.IGNORECASE)
_GIT = re.compile(r"(https?://.+\.git(#.*)?\Z)|(git://)|(github\.com/)|(git@)", re.IGNORECASE)


async def source(build: Build) -> Context:
    """The context that `remote` names; raises `InvalidArgument`."""
    remote = build.request.remote
    if _GIT.match(remote):
        raise NotImplementedYet("building from a git repository is not implemented yet")
    if _URL.match(remote):
        raise NotImplementedYet("building from a URL is not implemented yet")
    raise InvalidArgument(f"remoteURL ({remote}) could not be recognized as URL")
