"""`docker pull`: from a name in a registry to an image in the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.contracts.common import Platform
from shared.contracts.image_store import PullRequest
from shared.errors import InvalidArgument, NotFound, PermissionDenied, ShoalError, Unknown
from shared.reference import Reference, parse

from ..domain import manifests, progress
from ..domain import platform as platforms
from ..domain.manifests import Chosen
from ..domain.progress import Step
from ..domain.registry_answers import goes_on, of_pull
from ..ports import Peers, Registry, Repository, Unpacker
from .download import Downloads
from .images import Images
from .peer_source import PeerSource, Sources
from .pull_layers import LayerPull
from .transfers import Transfers

Say = Callable[[bytes], Awaitable[None]]


def wanted_reference(request: PullRequest) -> Reference:
    """What is to be pulled; raises `InvalidArgument`, and `PermissionDenied` for the one name that is nobody's."""
    reference = parse(request.reference)
    if reference.familiar_name == "scratch":
        raise PermissionDenied("'scratch' is a reserved name")
    if request.all_tags and (reference.tag or reference.digest):
        raise InvalidArgument("tag can't be used with --all-tags/-a")
    return reference if request.all_tags else reference.with_default_tag()


class Pulling:
    """Pulls, with all that several of them share."""

    def __init__(
        self, images: Images, unpacker: Unpacker, registry: Registry, downloads: Downloads, transfers: Transfers,
        host: Platform, peers: Peers,
    ) -> None:  # fmt: skip
        self._images, self._unpacker, self._registry = images, unpacker, registry
        self._downloads, self._transfers, self._host, self._peers = downloads, transfers, host, peers

    async def run(self, request: PullRequest, say: Say) -> None:
        """Raises `NotFound`, `Unauthenticated`, `InvalidArgument` and `Unknown` as dockerd has them."""
        reference = wanted_reference(request)
        wanted = platforms.check(request.platform) if request.platform else None
        self._peers.look()
        try:
            repositories = await self._registry.repositories(reference.domain, reference.path, request.auth)
            await self._from_any(repositories, reference, wanted, say)
        except ShoalError as error:
            raise of_pull(error, reference) from None
        await self._told(reference, wanted, say)

    async def _from_any(
        self, repositories: tuple[Repository, ...], reference: Reference, wanted: Platform | None, say: Say
    ) -> None:
        """The first endpoint that has it; one that spoke TLS is not asked again without."""
        failure: ShoalError = Unknown(f"no endpoints found for {reference.familiar}")
        for repository in repositories:
            try:
                await self._from(repository, reference, wanted, say)
                return
            except ShoalError as error:
                failure = error
                if not goes_on(error, repository.is_mirror, repository.has_answered):
                    raise
        raise failure

    async def _from(self, repository: Repository, reference: Reference, wanted: Platform | None, say: Say) -> None:
        if reference.tag or reference.digest:
            fresh = await self._one(repository, reference, wanted, say)
        else:
            tags = await repository.tags()
            fresh = False
            for tag in tags:
                fresh = await self._one(repository, replace(reference, tag=tag), wanted, say) or fresh
        done = "Downloaded newer image" if fresh else "Image is up to date"
        await say(progress.status(f"Status: {done} for {reference.familiar}"))

    async def _one(self, repository: Repository, reference: Reference, wanted: Platform | None, say: Say) -> bool:
        """Pulls one tag or digest; False when all was here already, under that name too."""
        known = self._up_to_date(reference, wanted)
        if known and await repository.head(reference.tag) == known:
            await say(progress.titled(f"Pulling from {reference.path}", reference.tag))
            await say(progress.status(f"Digest: {known}"))
            return False
        chosen = await self._choose(repository, reference, wanted, say)
        image_id = chosen.manifest.config.digest
        if image_id not in self._images.catalog:
            await self._take(repository, chosen, say)
        elif (
            chosen.index is not None and chosen.manifest.document.digest in self._images.catalog.stored(image_id).blobs
        ):
            await self._images.came_of(image_id, chosen.index)
        await say(progress.status(f"Digest: {chosen.target}"))
        return await self._name(reference, chosen.target, image_id)

    def _up_to_date(self, reference: Reference, wanted: Platform | None) -> str:
        """The digest that the tag's image was last pulled by, or "": then asking for the digest alone may do."""
        catalog = self._images.catalog
        platform = platforms.normalise(wanted or self._host)
        image_id = "" if reference.digest else catalog.member(reference, platform)
        if not image_id or platforms.normalise(catalog.image(image_id).platform) != platform:
            return ""
        found = [each.digest for each in catalog.references(image_id) if each.digest and each.name == reference.name]
        return found[0] if len(found) == 1 else ""

    async def _choose(self, repository: Repository, reference: Reference, wanted: Platform | None, say: Say) -> Chosen:
        plan = manifests.choose(reference, self._host, wanted)
        want, told = next(plan), False
        try:
            while True:
                document = await repository.manifest(want.reference, want.size)
                if not told:
                    manifests.read(document, reference)
                    await say(progress.titled(f"Pulling from {reference.path}", reference.digest or reference.tag))
                    told = True
                want = plan.send(document)
        except StopIteration as finished:
            chosen: Chosen = finished.value
        manifests.check_image(chosen.manifest)
        return chosen

    async def _take(self, repository: Repository, chosen: Chosen, say: Say) -> None:
        """Whoever pulls the same meanwhile shares the work and sees how it goes."""
        source = Sources(PeerSource(self._peers), repository)
        work = LayerPull(self._images, self._unpacker, self._downloads, source, chosen)

        async def told(step: Step) -> None:
            await say(step.line())

        await self._transfers.join(f"image {chosen.manifest.document.digest}", work.run, told)

    async def _name(self, reference: Reference, target: str, image_id: str) -> bool:
        """Of the same index, images of several platforms have the name together; else the new one has it alone."""
        catalog = self._images.catalog
        canonical = replace(reference, tag="", digest=target)
        if image_id not in catalog.members(canonical):
            await self._images.join(canonical, image_id)
        if reference.digest:
            return True
        members = catalog.members(reference)
        if image_id in members:
            return False
        if set(members) <= set(catalog.members(canonical)):
            await self._images.join(reference, image_id)
        else:
            await self._images.name(reference, image_id)
        return True

    async def _told(self, reference: Reference, wanted: Platform | None, say: Say) -> None:
        """The event, and the warning for an image that is the only one there is, and for another platform."""
        image_id = self._images.catalog.holder(reference) if reference.tag or reference.digest else ""
        if image_id and wanted is not None:
            try:
                self._images.catalog.resolve(reference.familiar, wanted)
            except NotFound as error:
                await say(progress.status(f"WARNING: {error.message}"))
        labels = self._images.labels(image_id) if image_id else {}
        self._images.tell("pull", reference.familiar, labels, reference.familiar_name)
