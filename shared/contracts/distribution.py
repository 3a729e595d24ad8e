"""What the image store is asked about registries (OCI distribution-spec): messages and endpoints of its contract."""

from __future__ import annotations

from shared.contracts.base import Endpoint, Message
from shared.contracts.common import Descriptor, Platform, StreamOffer
from shared.errors import InvalidArgument, NotFound, PermissionDenied, ResourceExhausted, Unauthenticated, Unknown


class Credentials(Message, frozen=True):
    """What a client proves with who it is.

    An identity token goes before a password; `registry_token` is sent as it is.
    """

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""


class PullRequest(Message, frozen=True):
    """`reference` as users type it; `all_tags`: every tag of the repository, which then carries none itself."""

    reference: str
    platform: Platform | None = None
    auth: Credentials = Credentials()
    all_tags: bool = False


class PushRequest(Message, frozen=True):
    """`reference`: the tag to push; `all_tags`: all of that repository. `platform`: the image must be for it."""

    reference: str
    platform: Platform | None = None
    auth: Credentials = Credentials()
    all_tags: bool = False


class SearchRequest(Message, frozen=True):
    """`limit` 0: 25. Filters: is-official, is-automated (nothing is), stars."""

    term: str
    limit: int = 0
    filters: dict[str, tuple[str, ...]] = {}
    auth: Credentials = Credentials()


class SearchResult(Message, frozen=True):
    name: str
    description: str = ""
    stars: int = 0
    is_official: bool = False


class SearchReply(Message, frozen=True):
    results: tuple[SearchResult, ...] = ()


class LoginRequest(Message, frozen=True):
    """`server_address` as in Docker's `AuthConfig`; empty: Docker Hub."""

    server_address: str = ""
    auth: Credentials = Credentials()


class LoginReply(Message, frozen=True):
    """`identity_token` is to be kept instead of the password, where there is one."""

    status: str
    identity_token: str = ""


class DistributionRequest(Message, frozen=True):
    reference: str
    auth: Credentials = Credentials()


class DistributionReply(Message, frozen=True):
    """The manifest or index that a name stands for in its registry, and the platforms it is for."""

    media_type: str
    digest: str
    size: int
    platforms: tuple[Platform, ...] = ()


class ReferrersRequest(Message, frozen=True):
    """What refers to an image in its registry; `artifact_type`, `digest`: only these; `content`: and what they hold."""

    reference: str
    artifact_type: str = ""
    digest: str = ""
    content: bool = False
    auth: Credentials = Credentials()


class Artifact(Message, frozen=True):
    """A manifest with its layers: `blobs` in the order of `layers`."""

    manifest: bytes
    layers: tuple[Descriptor, ...] = ()
    blobs: tuple[bytes, ...] = ()


class Referrer(Message, frozen=True):
    descriptor: Descriptor
    artifact_type: str = ""
    content: Artifact | None = None


class ReferrersReply(Message, frozen=True):
    """`digest`: of the image that was asked for."""

    digest: str
    referrers: tuple[Referrer, ...] = ()


PULL = Endpoint("image_store.pull", PullRequest, StreamOffer, (InvalidArgument, PermissionDenied))
"""Progress lines as Docker shows them come out; closing the stream cancels, unless somebody else pulls the same.

The last line is the one with `Status: `, a `WARNING: ` behind it, or an error: without, the pull was broken off.
"""
PUSH = Endpoint("image_store.push", PushRequest, StreamOffer, (InvalidArgument,))
"""As `pull`; an `aux` line tells tag, digest and size of each manifest, and the last one ends it."""
_REMOTE = (NotFound, InvalidArgument, Unauthenticated, Unknown)
SEARCH = Endpoint("image_store.search", SearchRequest, SearchReply, _REMOTE, idempotent=True, timeout=120)
LOGIN = Endpoint("image_store.login", LoginRequest, LoginReply, _REMOTE, idempotent=True, timeout=120)
"""Whether a registry takes these credentials."""
DISTRIBUTION = Endpoint(
    "image_store.distribution", DistributionRequest, DistributionReply, _REMOTE, idempotent=True, timeout=120
)
REFERRERS = Endpoint(
    "image_store.referrers",
    ReferrersRequest,
    ReferrersReply,
    (*_REMOTE, ResourceExhausted),
    idempotent=True,
    timeout=120,
)
