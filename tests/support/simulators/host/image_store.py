"""A model of the image store: a few images, and the snapshots made of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from shared.contracts import image_store as contract
from shared.contracts.base import Empty, Endpoint, Message
from shared.contracts.common import Descriptor, Mount, PruneReport, Ref, StreamOffer
from shared.contracts.container import ContainerConfig
from shared.contracts.peers import FetchReply
from shared.contracts.trees import SyncOutRequest, SyncReply
from shared.errors import NotFound, NotImplementedYet
from tests.support.simulators.host.behaviour import Behaviour


def image(name: str, config: ContainerConfig) -> contract.Image:
    """An image whose id is made of its name."""
    return contract.Image(
        id="sha256:" + name.encode().hex().ljust(64, "0")[:64],
        repo_tags=(f"{name}:latest",),
        config=config,
        size=1000,
        descriptor=Descriptor(media_type="m", digest=f"sha256:{name}", size=1),
    )


BUSYBOX = image("busybox", ContainerConfig(env=("PATH=/bin",), cmd=("sh",)))
REDIS = image(
    "redis",
    ContainerConfig(
        entrypoint=("redis-server",),
        exposed_ports={"6379/tcp": {}},
        volumes={"/data": {}},
        working_dir="/data",
        labels={"maker": "us"},
        stop_signal="SIGINT",
    ),
)


class ImageStoreSimulator(Behaviour):
    """Serves the image store's contract, as far as containers need it."""

    def __init__(self) -> None:
        super().__init__()
        self.images = {"busybox": BUSYBOX, "redis": REDIS}
        self.snapshots: dict[str, contract.Snapshot] = {}
        self.sending: list[int] = []
        """Bytes that its next passes of trees take."""

    def _find(self, reference: str) -> contract.Image:
        by_id = {each.id: each for each in self.images.values()}
        found = by_id.get(reference) or self.images.get(reference.removesuffix(":latest"))
        if found is None:
            raise NotFound(f"No such image: {reference if ':' in reference else reference + ':latest'}")
        return found

    async def prepare(self, request: contract.PrepareRequest) -> contract.Snapshot:
        await self.enter("prepare", request)
        mount = Mount(type="overlay", source="overlay", options=(f"upperdir=/snapshots/{request.key}",))
        snapshot = contract.Snapshot(key=request.key, image=self._find(request.reference), mounts=(mount,))
        self.snapshots[request.key] = snapshot
        self.leave("prepare")
        return snapshot

    async def snapshot(self, request: Ref) -> contract.Snapshot:
        await self.enter("snapshot", request)
        if request.id not in self.snapshots:
            raise NotFound(f"no snapshot {request.id}")
        return self.snapshots[request.id]

    async def release(self, request: Ref) -> Empty:
        await self.enter("release", request)
        self.snapshots.pop(request.id, None)
        return Empty()

    async def resolve(self, request: contract.ResolveRequest) -> contract.Image:
        await self.enter("resolve", request)
        return self._find(request.reference)

    async def usage(self, request: contract.UsageRequest) -> contract.UsageReply:
        await self.enter("usage", request)
        return contract.UsageReply(
            snapshots=dict.fromkeys(self.snapshots, 10), images={image.id: image.size for image in self.images.values()}
        )

    async def sync_out(self, request: SyncOutRequest) -> SyncReply:
        await self.enter("sync_out", request)
        return SyncReply(bytes=self.sending.pop(0) if self.sending else 10, changed=1)

    async def fetch(self, request: contract.FetchRequest) -> FetchReply:
        await self.enter("fetch", request)
        return FetchReply(image_id=BUSYBOX.id)

    async def list(self, request: contract.ListRequest) -> contract.ListReply:
        return contract.ListReply(images=tuple(self.images.values()))

    async def _refuse(self, request: Message) -> NoReturn:
        raise NotImplementedYet(f"the simulator does not {type(request).__name__}")

    async def tag(self, request: contract.TagRequest) -> Empty:
        await self._refuse(request)

    async def remove(self, request: contract.RemoveRequest) -> contract.RemoveReply:
        await self._refuse(request)

    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        await self._refuse(request)

    async def load(self, request: contract.LoadRequest) -> StreamOffer:
        await self._refuse(request)

    async def save(self, request: contract.SaveRequest) -> StreamOffer:
        await self._refuse(request)

    async def import_(self, request: contract.ImportRequest) -> StreamOffer:
        await self._refuse(request)

    async def changes(self, request: Ref) -> StreamOffer:
        await self.enter("changes", request)
        return StreamOffer(path="/changes", ticket=request.id, framed=False)

    async def commit(self, request: contract.CommitRequest) -> contract.CommitReply:
        await self.enter("commit", request)
        self._find(self.snapshots[request.key].image.repo_tags[0])
        name = f"{request.repository}:{request.tag or 'latest'}" if request.repository else ""
        return contract.CommitReply(image=image(request.key[:8], request.config), name=name)

    async def apply(self, request: contract.ApplyRequest) -> StreamOffer:
        await self._refuse(request)

    async def pull(self, request: contract.PullRequest) -> StreamOffer:
        await self._refuse(request)

    async def push(self, request: contract.PushRequest) -> StreamOffer:
        await self._refuse(request)


def _refusing(endpoint: Endpoint[Any, Any]) -> Callable[..., Awaitable[Any]]:
    async def refuse(self: ImageStoreSimulator, request: Message) -> Any:
        await self._refuse(request)

    refuse.__annotations__ = {"request": endpoint.request, "return": endpoint.reply}
    return refuse


for _endpoint in contract.CONTRACT.endpoints:  # what containers do not need
    if not hasattr(ImageStoreSimulator, _endpoint.operation):
        setattr(ImageStoreSimulator, _endpoint.operation, _refusing(_endpoint))
