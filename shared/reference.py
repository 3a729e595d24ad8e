"""Docker's reference grammar: `[domain/]path[:tag][@digest]`, with the familiar form of Docker Hub's names.

The rules and texts are those of github.com/distribution/reference (v0.6), which every Docker client uses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from shared.errors import InvalidArgument

from .digest import check_digest

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
DEFAULT_TAG = "latest"
LONGEST_NAME = 255

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(rf"({_DOMAIN})/({_PATH})(?::({_TAG}))?(?:@({_DIGEST}))?\Z")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}\Z")
_TAG_ALONE = re.compile(rf"{_TAG}\Z")


@dataclass(frozen=True)
class Reference:
    """A normalised reference. `str()` is the full form, `familiar` what Docker shows."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The repository in full: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as Docker shows it: `busybox`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        official = self.path.removeprefix("library/")
        return self.path if "/" in official else official

    @property
    def familiar(self) -> str:
        return self.familiar_name + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.name + self._suffix

    def with_default_tag(self) -> Reference:
        """Itself, with `latest` where there is neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def key(self) -> Reference:
        """What the store files it under: by digest alone where there is one, since that names the content."""
        return replace(self, tag="") if self.digest else self.with_default_tag()


@dataclass(frozen=True)
class Identifier:
    """A full image id: `sha256:<hex>`."""

    digest: str


def parse(text: str) -> Reference:
    """A named reference; raises `InvalidArgument` with Docker's text."""
    if _IDENTIFIER.match(text):
        raise InvalidArgument(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    domain, rest = split_domain(text)
    remote = rest.partition(":")[0]
    if remote.lower() != remote:
        raise InvalidArgument(f"invalid reference format: repository name ({remote}) must be lowercase")
    match = _REFERENCE.match(f"{domain}/{rest}")
    if match is None:
        raise InvalidArgument("invalid reference format")
    reference = Reference(match[1], match[2], match[3] or "", match[4] or "")
    if len(reference.path) > LONGEST_NAME:
        raise InvalidArgument(f"repository name must not be more than {LONGEST_NAME} characters")
    if reference.digest:
        check_digest(reference.digest)
    return reference


def parse_any(text: str) -> Reference | Identifier:
    """A named reference, or a full image id with or without its algorithm."""
    if _IDENTIFIER.match(text):
        return Identifier("sha256:" + text)
    try:
        return Identifier(check_digest(text))
    except InvalidArgument:
        return parse(text)


def with_tag(repository: str, tag: str) -> Reference:
    """What `docker tag` writes: a repository that carries no digest, and a tag (empty: as given, else `latest`)."""
    reference = parse(repository)
    if reference.digest:
        raise InvalidArgument("refusing to create a tag with a digest reference")
    if reference.familiar_name == "sha256":
        raise InvalidArgument("refusing to create an ambiguous tag using digest algorithm as name")
    if tag:
        reference = replace(reference, tag=_check_tag(tag))
    return reference.with_default_tag()


def beside(name: str, tag: str) -> Reference:
    """A name, and a tag or digest that a request has beside it (empty: as the name has it), which counts more.

    An old form of the CLI's `pull -a` ends the name in a colon.
    """
    reference = parse(name.removesuffix(":"))
    if not tag:
        return reference
    try:
        return replace(reference, tag="", digest=check_digest(tag))
    except InvalidArgument:
        return replace(reference, tag=_check_tag(tag))


@lru_cache(1024)
def listed_as(text: str) -> str:
    """What images are listed as that a user calls so: `busybox:latest`. "" for what is no name."""
    try:
        return parse(text).key().familiar
    except InvalidArgument:
        return ""


def _check_tag(tag: str) -> str:
    if not _TAG_ALONE.match(tag):
        raise InvalidArgument("invalid tag format")
    return tag


def split_domain(text: str) -> tuple[str, str]:
    """The registry and the rest. The first part is a registry when it cannot be a part of a path."""
    first, slash, rest = text.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, f"library/{text}"
    if first == LEGACY_DOMAIN:
        first = DEFAULT_DOMAIN
    elif not (first == "localhost" or "." in first or ":" in first or first.lower() != first):
        first, rest = DEFAULT_DOMAIN, text
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest
