"""The image store's endpoints."""

from __future__ import annotations

import asyncio
import platform as machine
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from shared import telemetry
from shared.clock import now_ns
from shared.contracts import distribution as registries
from shared.contracts import image_store as contract
from shared.contracts import peers
from shared.contracts.base import Empty
from shared.contracts.common import DockerEvent, Mount, Platform, PruneReport, Ref, StreamOffer
from shared.contracts.trees import SyncInRequest, SyncOutRequest, SyncReply
from shared.errors import NotFound
from shared.reference import with_tag
from shared.service import Kernel
from shared.shielded import carried_through
from shared.streams import Channel
from shared.treesync import Passing

from .adapters.content_local import LocalContent
from .adapters.layer_writer import LayerWriter
from .adapters.layers_local import LocalLayers
from .adapters.layout import StoreLayout
from .adapters.leases_local import LocalLeases
from .adapters.partials import LocalPartials
from .adapters.peers_bus import BusPeers
from .adapters.references_kv import KvReferences
from .adapters.registries import HttpRegistry
from .adapters.snapshot_overlay import OverlaySnapshots
from .adapters.unpack_client import LocalUnpacker
from .domain import filters
from .domain import platform as platforms
from .domain.catalog import Catalog
from .domain.graph_driver import graph_driver, of_snapshot
from .operations import changes, commit, look, recover, remove, save, usage
from .operations.answering import answer, while_wanted
from .operations.download import Downloads
from .operations.fetch import Fetching
from .operations.images import Images
from .operations.import_ import Importing
from .operations.leases import Leases
from .operations.load import Loading, received
from .operations.pull import Pulling, wanted_reference
from .operations.pull_layers import lease_name
from .operations.push import Pushing, pushed_reference
from .operations.push_layers import Uploads
from .operations.remote import Remotes
from .operations.serving import Serving
from .operations.transfers import Transfers


class ImageStoreService:
    """See `shared.contracts.image_store`; every method is one of its endpoints."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel, self.tasks = kernel, kernel.tasks
        self._layout = StoreLayout(kernel.settings.state_path / "image_store")
        self._content, self._layers = LocalContent(self._layout), LocalLayers(self._layout)
        self._snapshots = OverlaySnapshots(self._layout)
        self._passing = Passing(kernel.streams, kernel.tasks)
        self._unpacker = LocalUnpacker(self._layout, kernel.settings)
        self._packer = LayerWriter(self._layout, self._layers, kernel.settings)
        self._catalog = Catalog()
        self._references = KvReferences(kernel.state, kernel.node, self._catalog)
        self._leases, self._peers = Leases(LocalLeases(self._layout)), BusPeers(kernel.bus)
        self._host = platforms.normalise(Platform(architecture=machine.machine()))
        self._images = Images(
            self._catalog, self._content, self._layers, self._snapshots, self._references, self._emit, self._leases,
            self._host, kernel.tasks,
        )  # fmt: skip
        self._serving = Serving(self._images)
        self._untidy, self._tidying = False, None  # type: bool, asyncio.Task[None] | None
        self._registry, self._partials = HttpRegistry(kernel.settings), LocalPartials(self._layout)
        self._transfers, self._remotes = Transfers(), Remotes(self._registry)
        self._downloads = self._make_downloads()
        shared = (self._images, self._unpacker, self._registry, self._downloads, self._transfers)
        self._pulling, self._fetching = Pulling(*shared, self._host, self._peers), Fetching(*shared, self._peers)
        self._pushing = self._make_pushing()

    def _make_downloads(self) -> Downloads:
        settings = self._kernel.settings
        return Downloads(
            self._content, self._partials, self._transfers, settings.max_concurrent_downloads,
            settings.max_download_attempts, settings.registry_retry_delay,
        )  # fmt: skip

    def _make_pushing(self) -> Pushing:
        settings = self._kernel.settings
        uploads = Uploads(
            self._images, self._transfers, settings.max_concurrent_uploads, settings.max_download_attempts,
            settings.registry_retry_delay,
        )  # fmt: skip
        return Pushing(self._images, self._registry, uploads)

    def _emit(self, action: str, actor: str, attributes: dict[str, str]) -> None:
        event = DockerEvent(type="image", action=action, actor=actor, attributes=attributes, time_ns=now_ns())
        self._kernel.bus.emit(contract.IMAGE_EVENT, event, suffix=action)

    async def start(self) -> None:
        """Reads the store, finishes or forgets what was under way when it was last left."""
        self._layout.open()
        self._content.open()
        self._layers.open()
        self._snapshots.open()
        self._leases.open()
        self._images.open()
        await recover.unpack_again(self._images, self._unpacker)
        await self._images.collect(self._content.digests(), [layer.chain_id for layer in self._layers.all()])
        await self._references.open()
        self._catalog.changed = self._changed
        self._partials.sweep(set())
        self._serving.open()
        self._tidy()

    async def close(self) -> None:
        if self._tidying is not None:
            await asyncio.wait((self._tidying,))  # its threads work on the folder until they are done
        await self._serving.close()
        await self._transfers.close()
        await self._peers.close()
        await self._registry.close()
        await self._layers.settle()

    def at_rest(self) -> bool:
        """Whether another process may take over unnoticed: nothing is transferred or tidied up."""
        return self._tidying is None and not self._transfers.keys()

    def _tidy(self) -> None:
        """Has the disk put in order behind the requests' backs; one at a time."""
        self._untidy = True
        if self._tidying is None:
            self._tidying = self._kernel.tasks.start(self._put_in_order(), "tidy")

    async def _put_in_order(self) -> None:
        try:
            while self._untidy:
                self._untidy = False
                await asyncio.to_thread(self._layout.empty_trash)
                await self._layers.settle()
                await asyncio.to_thread(self._snapshots.stock)
        finally:
            self._tidying = None

    async def resolve(self, request: contract.ResolveRequest) -> contract.Image:
        image = self._catalog.resolve(request.reference, request.platform)
        self._images.hold(request.lease, image.id)
        manifests = self._images.of_name(image.id) if request.manifests else ()
        return msgspec.structs.replace(self._whole(image), manifests=manifests)

    def _whole(self, image: contract.Image) -> contract.Image:
        directories = tuple(str(self._layers.directory(layer)) for layer in self._layers.lineage(image.chain_id))
        return msgspec.structs.replace(image, graph_driver=graph_driver(directories))

    def _changed(self, image_ids: Iterable[str]) -> None:
        listed = filters.listed(self._catalog, image_ids) or {}
        images = tuple(self._whole(self._catalog.image(each)) for each, is_listed in listed.items() if is_listed)
        removed = tuple(each for each, is_listed in listed.items() if not is_listed)
        self._kernel.bus.emit(
            contract.CHANGED, contract.Changed(images=images, removed=removed, node=self._kernel.node)
        )

    async def list(self, request: contract.ListRequest) -> contract.ListReply:
        images = filters.select(self._catalog, request.filters, request.all, now_ns())
        if request.manifests:
            images = tuple(msgspec.structs.replace(each, manifests=self._images.of_name(each.id)) for each in images)
        shared: dict[str, int] = {}
        if request.shared_size:
            sizes = {layer.chain_id: layer.size for layer in self._layers.all()}
            shared = filters.shared_sizes(self._catalog, images, sizes)
        return contract.ListReply(images=images, shared_sizes=shared)

    @carried_through
    async def tag(self, request: contract.TagRequest) -> Empty:
        image = self._catalog.resolve(request.source)
        reference = with_tag(request.repository, request.tag)
        await self._images.name(reference, *self._catalog.family(request.source))
        self._images.tell("tag", image.id, image.config.labels, reference.familiar)
        return Empty()

    @carried_through
    async def remove(self, request: contract.RemoveRequest) -> contract.RemoveReply:
        done = await remove.remove(self._images, request)
        if any(each.deleted for each in done.removed):
            self._tidy()
        return done

    @carried_through
    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        done = await remove.prune(self._images, request)
        coming = {key.partition(" ")[2] for key in self._transfers.keys()}  # noqa: SIM118  # no dictionary
        freed = self._partials.sweep(coming, all_=True)
        running = {lease_name(digest) for digest in coming}
        freed += await self._images.give_up(
            name for name in self._leases.names() if name.startswith(lease_name("")) and name not in running
        )
        self._tidy()
        return msgspec.structs.replace(done, bytes_freed=done.bytes_freed + freed)

    async def prepare(self, request: contract.PrepareRequest) -> contract.Snapshot:
        image = self._catalog.resolve(request.reference, request.platform)
        lineage = self._layers.lineage(image.chain_id)
        with telemetry.span("snapshot"):
            mounts = self._snapshots.prepare(request.key, image.id, lineage)
        if self._snapshots.short_of_spares:
            self._tidy()
        return self._snapshot(request.key, image, mounts)

    async def snapshot(self, request: Ref) -> contract.Snapshot:
        stands = self._snapshots.find(request.id)
        if stands is None:
            raise NotFound(f"no snapshot {request.id}")
        image_id, chain_id = stands
        known = image_id in self._catalog
        image = self._catalog.image(image_id) if known else contract.Image(id=image_id, chain_id=chain_id)
        return self._snapshot(request.id, image, self._snapshots.mounts(request.id, self._layers.lineage(chain_id)))

    async def view(self, request: Ref) -> contract.View:
        image = self._catalog.resolve(request.id)
        mounts = self._snapshots.view(self._layers.lineage(image.chain_id))
        return contract.View(image_id=image.id, mounts=mounts)

    def _snapshot(self, key: str, image: contract.Image, mounts: tuple[Mount, ...]) -> contract.Snapshot:
        return contract.Snapshot(
            key=key,
            image=msgspec.structs.replace(image, history=()),
            mounts=mounts,
            upper=str(self._snapshots.upper(key)),
            graph_driver=of_snapshot(mounts),
        )

    async def release(self, request: Ref) -> Empty:
        stands = self._snapshots.find(request.id)
        self._passing.end(request.id)
        with telemetry.span("snapshot removal"):
            self._snapshots.release(request.id)
        if stands is not None and stands[0] not in self._catalog:
            await self._images.collect_below(stands[1])  # its image was removed before it
        self._tidy()
        return Empty()

    async def sync_out(self, request: SyncOutRequest) -> SyncReply:
        there = SyncInRequest(key=request.key, last=request.last)
        return await self._passing.send(
            request, self._upper(request.key), lambda: self._kernel.bus.call(contract.SYNC_IN, there, node=request.node)
        )

    async def sync_in(self, request: SyncInRequest) -> StreamOffer:
        serve = self._passing.receiver(self._upper(request.key), request.last)
        return await self._kernel.streams.offer_direct(serve, framed=False)

    def _upper(self, key: str) -> str:
        if self._snapshots.find(key) is None:
            raise NotFound(f"no snapshot {key}")
        return str(self._snapshots.upper(key))

    async def usage(self, request: contract.UsageRequest) -> contract.UsageReply:
        return await usage.usage(self._images, request)

    async def load(self, request: contract.LoadRequest) -> StreamOffer:
        async def serve(channel: Channel) -> None:
            loading = Loading(self._images, self._unpacker, self._host, request, channel.write)
            await loading.run(received(channel))

        return self._offer(serve)

    async def save(self, request: contract.SaveRequest) -> StreamOffer:
        saved = save.chosen(self._images, request)
        return self._kernel.streams.offer(lambda channel: save.save(self._images, saved, channel.write), framed=False)

    async def import_(self, request: contract.ImportRequest) -> StreamOffer:
        importing = Importing(self._images, self._unpacker, self._host, request)
        return self._offer(lambda channel: importing.run(received(channel), channel.write))

    async def changes(self, request: Ref) -> StreamOffer:
        lines = await changes.changes(self._images, self._layout.init, request.id)
        return self._kernel.streams.offer(lambda channel: channel.write(lines), framed=False)

    async def commit(self, request: contract.CommitRequest) -> contract.CommitReply:
        done = await commit.commit(self._images, self._packer, self._host, request)
        self._tidy()
        return done

    async def apply(self, request: contract.ApplyRequest) -> StreamOffer:
        applying = commit.Applying(self._images, self._unpacker, self._host, request)
        return self._offer(lambda channel: applying.run(received(channel), channel.write))

    def _offer(self, serve: Callable[[Channel], Awaitable[None]]) -> StreamOffer:
        return self._kernel.streams.offer(
            lambda channel: answer(channel, lambda: serve(channel), self._tidy), framed=False
        )

    async def child(self, request: contract.ChildRequest) -> contract.ChildReply:
        return look.find_child(self._images, request)

    async def end_lease(self, request: Ref) -> Empty:
        self._leases.end_key(request.id)
        return Empty()

    async def look(self, request: contract.LookRequest) -> contract.LookReply:
        return await look.look(self._images, request)

    async def contents(self, request: contract.ContentsRequest) -> StreamOffer:
        return self._offer(lambda channel: look.contents(self._images, request, channel.write))

    async def names(self, request: contract.NamesRequest) -> contract.NamesReply:
        found = [with_tag(name, "") for name in request.names]
        return contract.NamesReply(names=tuple((each.familiar_name, each.tag) for each in found))

    async def pull(self, request: contract.PullRequest) -> StreamOffer:
        wanted_reference(request)
        return self._offer(lambda channel: while_wanted(channel, self._pulling.run(request, channel.write)))

    async def search(self, request: registries.SearchRequest) -> registries.SearchReply:
        return await self._remotes.search(request)

    async def login(self, request: registries.LoginRequest) -> registries.LoginReply:
        return await self._remotes.login(request)

    async def distribution(self, request: registries.DistributionRequest) -> registries.DistributionReply:
        return await self._remotes.distribution(request)

    async def referrers(self, request: registries.ReferrersRequest) -> registries.ReferrersReply:
        return await self._remotes.referrers(request)

    async def push(self, request: contract.PushRequest) -> StreamOffer:
        pushed_reference(request)
        return self._offer(lambda channel: while_wanted(channel, self._pushing.run(request, channel.write)))

    async def holds(self, request: peers.HoldsRequest) -> peers.HoldsReply:
        return await self._serving.holds(request)

    async def read(self, request: peers.ReadRequest) -> peers.ReadReply:
        return await self._serving.read(request)

    async def fetch(self, request: peers.FetchRequest) -> peers.FetchReply:
        done = await self._fetching.run(request)
        self._tidy()
        return done
