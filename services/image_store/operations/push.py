"""`docker push`: images of the store into a repository of a registry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from shared.contracts.common import Descriptor
from shared.contracts.image_store import PushRequest
from shared.errors import InvalidArgument, NotFound, ShoalError, Unknown

from ..domain import config, manifests, progress, pushing
from ..domain import platform as platforms
from ..domain.catalog import Stored
from ..domain.manifests import Manifest
from ..domain.progress import Step
from ..domain.reference import Reference, parse
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
    """A name and the image that has it."""

    reference: Reference
    stored: Stored


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
        found = [Tagged(each, catalog.stored(names[each])) for each in wanted]
        platform = request.platform and platforms.check(request.platform)
        for each in found:
            if platform and not platforms.matches(platform, each.stored.image.platform):
                raise NotFound(
                    f"image {each.reference.familiar} is for {platforms.describe(each.stored.image.platform)}, "
                    f"not for {platforms.describe(platform)}"
                )
        return found

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
        """Layers, then the configuration, then the manifest that names them all."""
        reference, stored = tagged.reference, tagged.stored
        async with self._images.lease() as lease:
            lease.blobs.update(stored.blobs)
            lease.chains.update(stored.chains)
            manifest = self._manifest(stored)
            layers = await self._layers(repository, reference, stored, manifest, say)
            await self._uploads.small(repository, manifest.config)
            document = pushing.with_layers(manifest.document, layers)
            await repository.put_manifest(reference.tag, document)
        size = len(document.data)
        await say(progress.status(f"{reference.tag}: digest: {document.digest} size: {size}"))
        canonical = replace(reference, tag="", digest=document.digest)
        if not self._images.catalog.holder(canonical) and stored.image.id in self._images.catalog:
            await self._images.name(canonical, stored.image.id)
        await say(progress.aux(Tag=reference.tag, Digest=document.digest, Size=size))

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
