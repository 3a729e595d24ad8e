"""An image by its manifest's digest, from whoever has it: other hosts' image stores, then a registry."""

from __future__ import annotations

from shared.contracts.common import Descriptor
from shared.contracts.peers import FetchReply, FetchRequest
from shared.digest import check_sha256
from shared.errors import InvalidArgument, NotFound
from shared.reference import parse

from ..domain import manifests
from ..domain.manifests import Chosen, Manifest
from ..domain.progress import Step
from ..domain.registry_answers import RegistryError
from ..ports import Document, Peers, Registry, Repository, Unpacker
from .download import Downloads
from .images import Images
from .peer_source import PeerSource, Sources
from .pull_layers import LayerPull
from .transfers import Transfers

ROUNDS = 3
"""How often hosts are asked that do not answer."""


class Fetching:
    """Fetches, with what they share with pulls: the same image on its way twice comes once."""

    def __init__(
        self, images: Images, unpacker: Unpacker, registry: Registry, downloads: Downloads, transfers: Transfers,
        peers: Peers,
    ) -> None:  # fmt: skip
        self._images, self._unpacker, self._registry = images, unpacker, registry
        self._downloads, self._transfers, self._peers = downloads, transfers, peers

    async def run(self, request: FetchRequest) -> FetchReply:
        """Raises `NotFound` when nobody has it (whole), `InvalidArgument` for what is no image."""
        digest = check_sha256(request.manifest.digest, "manifest")
        names = [parse(name).with_default_tag() for name in request.names]
        image_id = self._here(digest) or await self._fetch(request, digest)
        for name in names:
            if image_id not in self._images.catalog.members(name):
                await self._images.join(name, image_id)
        return FetchReply(image_id=image_id)

    def _here(self, digest: str) -> str:
        return next((each.image.id for each in self._images.catalog.all() if each.manifest.digest == digest), "")

    async def _fetch(self, request: FetchRequest, digest: str) -> str:
        peers = PeerSource(self._peers, request.nodes)
        looking = self._peers.look()
        if not (request.nodes or self._peers.known):
            await looking
        for _ in range(ROUNDS - 1):
            try:
                return await self._from_any(request, peers)
            except NotFound:
                if self._peers.known and not peers.silent:
                    raise
            await self._peers.look()  # who did not answer may be joining again
        return await self._from_any(request, peers)

    async def _from_any(self, request: FetchRequest, peers: PeerSource) -> str:
        """The image's id."""
        failure, manifest = "", None
        for registry in (None, *await self._registries(request)):
            try:
                manifest = manifest or await self._manifest(peers, registry, request.manifest)
                if manifest.config.digest not in self._images.catalog:
                    await self._take(Sources(peers, registry), manifest)
                return manifest.config.digest
            except RegistryError as error:
                failure = error.message
        raise NotFound(failure)

    async def _registries(self, request: FetchRequest) -> tuple[Repository, ...]:
        if not request.reference:
            return ()
        reference = parse(request.reference)
        return await self._registry.repositories(reference.domain, reference.path, request.auth)

    async def _manifest(self, peers: PeerSource, registry: Repository | None, wanted: Descriptor) -> Manifest:
        if registry is not None:
            document = await registry.manifest(wanted.digest, wanted.size)
        else:
            data = await peers.small(wanted)
            document = Document(media_type=wanted.media_type, digest=wanted.digest, data=data)
        found = manifests.read(document)
        if not isinstance(found, Manifest):
            raise InvalidArgument(f"manifest {wanted.digest} is an index; fetch the manifest of one platform")
        manifests.check_image(found)
        return found

    async def _take(self, source: Sources, manifest: Manifest) -> None:
        work = LayerPull(self._images, self._unpacker, self._downloads, source, Chosen(manifest))

        async def told(step: Step) -> None:
            """Nobody watches."""

        await self._transfers.join(f"image {manifest.document.digest}", work.run, told)
