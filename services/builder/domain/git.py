"""Git repositories as contexts: `URL#REFERENCE:FOLDER`, as dockerd reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.errors import InvalidArgument

_CONTEXT = re.compile(r"(https?://.+\.git(#.*)?\Z)|(git://)|(github\.com/)|(git@)", re.IGNORECASE)
_TRANSPORT = re.compile(r"(https?|git|ssh)://|git@", re.IGNORECASE)
_REFERENCE = re.compile(r"[^\s\x00-\x20\x7f~^:?*\[\\+-][^\s\x00-\x20\x7f~^:?*\[\\]*\Z")
LONGEST = 4096


@dataclass(frozen=True)
class Repository:
    """`reference`: branch, tag or commit; `folder`: where in it the context is, "" for all of it."""

    url: str
    reference: str
    folder: str

    @property
    def by_ssh(self) -> bool:
        return self.url.lower().startswith(("git@", "ssh://"))


def is_repository(remote: str) -> bool:
    """Whether a context's address means a git repository."""
    return _CONTEXT.match(remote) is not None


def parse(remote: str) -> Repository:
    """Raises `InvalidArgument` for what git would take for something else."""
    url, _, fragment = remote.partition("#")
    reference, _, folder = fragment.partition(":")
    reference, folder = reference or "HEAD", folder.strip("/")
    url = url if _TRANSPORT.match(url) else f"https://{url}"
    if len(remote) > LONGEST or any(letter < "!" or letter == "\x7f" for letter in url):
        raise InvalidArgument(f"invalid git repository: {url[:200]!r}")
    if not _REFERENCE.match(reference) or ".." in reference:
        raise InvalidArgument(f"invalid git reference: {reference[:200]!r}")
    if "\0" in folder or ".." in folder.split("/"):
        raise InvalidArgument(f"invalid folder of a git repository: {folder[:200]!r}")
    return Repository(url, reference, folder)
