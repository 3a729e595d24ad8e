"""`docker push`: images of the store into a repository of a registry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import PushRequest
from shared.errors import InvalidArgument, NotFound, ShoalError, Unknown
from shared.reference import Reference, parse

from ..domain import config, manifests, progress, pushing
from ..domain import platform as platforms
from ..domain.catalog import Stored
from ..domain.manifests import Manifest
from ..domain.progress import Step
from ..domain.registry_answers import RegistryError, goes_on, of_any
from ..ports import Document, Registry, Repository
from .images import Images
from .pull_layers import first_error
from .push_layers import Uploads

Say = Callable[[bytes], Awaitable[None]]


def pushed_reference(request: PushRequest) -> Reference:
    """What is to be pushed: one tag, or a whole repository. Raises `InvalidArgument`."""
    reference = parse(request.reference)
    if reference.digest:
        raise InvalidArgument("cannot push a digest reference")
    if request.all_tags and reference.tag:
        raise InvalidArgument("tag can't be used with --all-tags/-a")
    return reference if request.all_tags else reference.with_default_tag()


@dataclass
class Tagged:
    """A name and the images that have it, one for each platform; `whole`: not only that of one platform is meant."""

    reference: Reference
    images: tuple[Stored, ...]
    whole: bool = True


class Pushing:
    """Pushes, with what several of them share."""

    def __init__(self, images: Images, registry: Registry, uploads: Uploads) -> None:
        self._images, self._registry, self._uploads = images, registry, uploads

    async def run(self, request: PushRequest, say: Say) -> None:
        """Raises `NotFound`, `Unauthenticated` and `Unknown` as dockerd has them, after the first line."""
        reference = pushed_reference(request)
        await say(progress.status(f"The push refers to repository [{reference.name}]"))
        tagged = self._tagged(reference, request)
        try:
            repositories = await self._registry.repositories(
                reference.domain, reference.path, request.auth, ("push", "pull")
            )
            await self._to_any(repositories, tagged, say)
        except RegistryError as error:
            raise of_any(error) from None
        self._images.tell("push", reference.familiar, {}, reference.familiar_name)

    def _tagged(self, reference: Reference, request: PushRequest) -> list[Tagged]:
        catalog = self._images.catalog
        names = dict(catalog.of_repository(reference.name))
        if not names:
            raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
        wanted = [each for each in names if not each.digest and reference.tag in ("", each.tag)]
        if not wanted:
            raise NotFound(
                f"tag does not exist: {reference.familiar}"
                if reference.tag
                else f"no tags to push for {reference.familiar_name}"
            )
        if request.platform is None:
            return [Tagged(each, tuple(catalog.stored(image_id) for image_id in names[each])) for each in wanted]
        return [self._for(each, platforms.check(request.platform)) for each in wanted]

    def _for(self, reference: Reference, platform: Platform) -> Tagged:
        catalog = self._images.catalog
        image_id = catalog.member(reference, platform)
        if not image_id:
            actual = [platforms.describe(catalog.image(each).platform) for each in catalog.members(reference)]
            raise NotFound(
                f"image {reference.familiar} is for {', '.join(actual)}, not for {platforms.describe(platform)}"
            )
        return Tagged(reference, (catalog.stored(image_id),), whole=False)

    async def _to_any(self, repositories: tuple[Repository, ...], tagged: list[Tagged], say: Say) -> None:
        failure: ShoalError = Unknown("no endpoints found")
        for repository in repositories:
            try:
                await repository.ping()
                for each in tagged:
                    await self._push(repository, each, say)
                return
            except ShoalError as error:
                failure = error
                if not goes_on(error, repository.is_mirror, repository.has_answered):
                    raise
        raise failure

    async def _push(self, repository: Repository, tagged: Tagged, say: Say) -> None:
        """The image and the tag for it; of several platforms each image, then an index of them under the tag."""
        reference = tagged.reference
        async with self._images.lease() as lease:
            for stored in tagged.images:
                lease.blobs.update(stored.blobs)
                lease.chains.update(stored.chains)
            documents = [await self._content(repository, reference, stored, say) for stored in tagged.images]
            document = self._index(tagged, documents)
            if document is not documents[0]:
                for each in documents:
                    await repository.put_manifest(each.digest, each)
            await repository.put_manifest(reference.tag, document)
        size = len(document.data)
        await say(progress.status(f"{reference.tag}: digest: {document.digest} size: {size}"))
        canonical = replace(reference, tag="", digest=document.digest)
        here = [stored.image.id for stored in tagged.images if stored.image.id in self._images.catalog]
        if here and not self._images.catalog.holder(canonical):
            await self._images.name(canonical, *here)
        await say(progress.aux(Tag=reference.tag, Digest=document.digest, Size=size))

    def _index(self, tagged: Tagged, documents: list[Document]) -> Document:
        """What the tag will stand for: the index that the images came of when all of it is here, else one made anew."""
        came = tagged.images[0].index
        if came is not None and tagged.whole and all(each.index == came for each in tagged.images):
            document = self._images.index(tagged.images[0])
            if document and manifests.members(document) == {each.digest for each in documents}:
                return document
        if len(documents) == 1:
            return documents[0]
        return pushing.index(zip(documents, (stored.image for stored in tagged.images), strict=True))

    async def _content(self, repository: Repository, reference: Reference, stored: Stored, say: Say) -> Document:
        """Sends layers, then the configuration; the manifest that names them all."""
        manifest = self._manifest(stored)
        layers = await self._layers(repository, reference, stored, manifest, say)
        await self._uploads.small(repository, manifest.config)
        return pushing.with_layers(manifest.document, layers)

    def _manifest(self, stored: Stored) -> Manifest:
        data = self._images.content.read(stored.manifest.digest, config.LONGEST)
        found = manifests.read(
            Document(media_type=stored.manifest.media_type, digest=stored.manifest.digest, data=data)
        )
        assert isinstance(found, Manifest)
        return found

    async def _layers(
        self, repository: Repository, reference: Reference, stored: Stored, manifest: Manifest, say: Say
    ) -> list[Descriptor]:
        """Where each layer is in the registry afterwards; told from the top one down, as Docker does."""

        async def tell(step: Step) -> None:
            await say(step.line())

        layers = pushing.layers(manifest, stored.image)
        for layer in reversed(layers):
            await tell(Step(layer.diff_id[7:19], "Preparing"))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {
                    layer.diff_id: group.create_task(self._uploads.run(repository, reference, layer, tell))
                    for layer in reversed(layers)
                }
        except BaseExceptionGroup as failed:
            raise first_error(failed) from None
        return [tasks[layer.diff_id].result() for layer in layers]
