"""Questions to registries that change nothing here: search, login, distribution inspect, referrers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

from shared.contracts.common import Platform
from shared.contracts.distribution import (
    Artifact,
    Credentials,
    DistributionReply,
    DistributionRequest,
    LoginReply,
    LoginRequest,
    Referrer,
    ReferrersReply,
    ReferrersRequest,
    SearchReply,
    SearchRequest,
)
from shared.errors import InvalidArgument, NotFound, ResourceExhausted, ShoalError, Unauthenticated, Unknown
from shared.reference import DEFAULT_DOMAIN, Identifier, Reference, parse_any

from ..domain import config, manifests, referrers, search
from ..domain.manifests import Index, Manifest
from ..domain.registry_answers import RegistryError, goes_on, of_any
from ..ports import Registry, Repository

MOST_CONTENT = 512 << 10
"""Bytes of artifacts in one answer: it goes over the broker."""
_UNAUTHORISED = 401
T = TypeVar("T")


class Remotes:
    """Asks, and says what dockerd would."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def search(self, request: SearchRequest) -> SearchReply:
        """Raises `InvalidArgument` for a question that makes no sense, `Unknown` for an index that does not answer."""
        asked = search.query(request)
        if asked.nothing:
            return SearchReply()
        try:
            answer = await self._registry.search(asked.domain, asked.term, asked.limit, request.auth)
        except RegistryError as error:
            raise Unknown(f"Unexpected status code {error.status}" if error.status else error.message) from None
        return SearchReply(results=search.results(asked, answer))

    async def login(self, request: LoginRequest) -> LoginReply:
        """Raises `Unauthenticated` for credentials that a token service refuses."""
        failure: ShoalError = Unknown("no endpoints found")
        for repository in await self._registry.repositories(
            _host(request.server_address), "", request.auth, ("login",)
        ):
            try:
                return LoginReply(status="Login Succeeded", identity_token=await repository.login())
            except RegistryError as error:
                if error.status == _UNAUTHORISED:
                    raise Unauthenticated(error.message) from None
                failure = Unknown(error.message)
                if repository.has_answered:
                    break
        raise failure

    async def distribution(self, request: DistributionRequest) -> DistributionReply:
        """What a registry has under a name, and for which platforms."""
        reference = _named(request.reference)

        async def ask(repository: Repository) -> DistributionReply:
            document = await repository.manifest(reference.digest or reference.tag)
            found = manifests.read(document, reference)
            if isinstance(found, Index):
                platforms = manifests.platforms_of(found)
            else:
                platforms = await _platform(repository, found)
            return DistributionReply(
                media_type=found.document.media_type,
                digest=document.digest,
                size=len(document.data),
                platforms=platforms,
            )

        return await self._first(reference, request.auth, ask)

    async def referrers(self, request: ReferrersRequest) -> ReferrersReply:
        """What refers to an image there; with `content` each with its manifest and blobs, verified.

        Raises `NotFound` when the one that was named is not among them, `ResourceExhausted` for more content than an
        answer can hold.
        """
        reference = _named(request.reference)

        async def ask(repository: Repository) -> ReferrersReply:
            digest = reference.digest or (await repository.manifest(reference.tag)).digest
            found = referrers.chosen(await repository.referrers(digest, request.artifact_type), request.artifact_type)
            if request.digest:
                found = tuple(each for each in found if each.descriptor.digest == request.digest)
                if not found:
                    raise NotFound(f"{request.digest[:100]} does not refer to {reference.familiar}")
            if request.content:
                found = await _with_content(repository, found)
            return ReferrersReply(digest=digest, referrers=found)

        return await self._first(reference, request.auth, ask)

    async def _first(self, reference: Reference, login: Credentials, ask: Callable[[Repository], Awaitable[T]]) -> T:
        """The answer of the first endpoint that has one."""
        failure: ShoalError = Unknown(f"no endpoints found for {reference.familiar}")
        for repository in await self._registry.repositories(reference.domain, reference.path, login):
            try:
                return await ask(repository)
            except ShoalError as error:
                failure = of_any(error) if isinstance(error, RegistryError) else error
                if not goes_on(error, repository.is_mirror, repository.has_answered):
                    break
        raise failure


def _named(text: str) -> Reference:
    found = parse_any(text)
    if isinstance(found, Identifier):
        raise InvalidArgument("no manifest found for full image ID")
    return found.with_default_tag()


def _host(address: str) -> str:
    """The registry that a client logs in to; "" stands for Docker Hub."""
    if not address:
        return DEFAULT_DOMAIN
    try:
        host = urlsplit(address if "://" in address else f"https://{address}").netloc
    except ValueError:
        host = ""
    if not host or "@" in host:
        raise InvalidArgument(f"unable to parse server address: {address[:200]!r}")
    return host


async def _platform(repository: Repository, manifest: Manifest) -> tuple[Platform, ...]:
    """The platform of a single image; none for what is no image."""
    if manifest.config.size > config.LONGEST:
        return ()
    try:
        return (config.parse(await repository.small(manifest.config)).platform,)
    except InvalidArgument:
        return ()


async def _with_content(repository: Repository, found: tuple[Referrer, ...]) -> tuple[Referrer, ...]:
    room = MOST_CONTENT
    filled = []
    for each in found:
        document = await repository.manifest(each.descriptor.digest, each.descriptor.size)
        manifest = manifests.read(document)
        layers = manifest.layers if isinstance(manifest, Manifest) else ()
        room -= len(document.data) + sum(layer.size for layer in layers)
        if room < 0:
            raise ResourceExhausted(f"referrers: their content has more than {MOST_CONTENT} bytes; choose one")
        blobs = tuple([await repository.small(layer) for layer in layers])
        artifact = Artifact(manifest=document.data, layers=layers, blobs=blobs)
        filled.append(Referrer(descriptor=each.descriptor, artifact_type=each.artifact_type, content=artifact))
    return tuple(filled)
