"""A model of the image store: one image, busybox; loads and saves archives without looking into them."""

from __future__ import annotations

import msgspec

from shared.contracts import distribution as registries
from shared.contracts import image_store as contract
from shared.contracts.base import Empty, Message
from shared.contracts.common import Descriptor, PruneReport, StreamOffer
from shared.contracts.container import ContainerConfig
from shared.contracts.peers import FetchReply
from shared.errors import InvalidArgument, NotFound, Unauthenticated
from shared.reference import listed_as
from shared.service import Kernel
from shared.streams import Channel

BUSYBOX = contract.Image(
    id="sha256:" + "ab" * 32,
    repo_tags=("busybox:latest",),
    created="2026-01-01T00:00:00Z",
    created_ns=1_767_225_600_000_000_000,
    config=ContainerConfig(env=("PATH=/bin",), cmd=("sh",)),
    size=1_984_394,
    diff_ids=("sha256:" + "cd" * 32,),
    history=(contract.HistoryEntry(created="2026-01-01T00:00:00Z", created_by="ADD layer", size=1_984_394),),
)


OTHER = msgspec.structs.replace(BUSYBOX, id="sha256:" + "ef" * 32, repo_tags=("other:1", "host:5000/x:latest"))


class ImageStoreSimulator:
    """Serves the image store's contract."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.images = {"busybox": BUSYBOX}
        self.calls: list[Message] = []
        self.received = b""

    def changed(self) -> None:
        """To be called when what it knows was changed in another way than by its endpoints."""
        self._kernel.bus.emit(contract.CHANGED, contract.Changed())

    def last(self) -> Message:
        """The request noted last."""
        return self.calls[-1]

    def _find(self, reference: str) -> contract.Image:
        if reference != reference.lower():
            raise InvalidArgument("invalid reference format: repository name must be lowercase")
        found = self.images.get((listed_as(reference) or reference).removesuffix(":latest"))
        if found is None:
            found = next((image for image in self.images.values() if image.id.startswith(reference)), None)
        if found is None:
            raise NotFound(f"No such image: {reference if ':' in reference else reference + ':latest'}")
        return found

    async def resolve(self, request: contract.ResolveRequest) -> contract.Image:
        self.calls.append(request)
        return self._find(request.reference)

    async def list(self, request: contract.ListRequest) -> contract.ListReply:
        self.calls.append(request)
        return contract.ListReply(images=tuple({image.id: image for image in self.images.values()}.values()))

    async def tag(self, request: contract.TagRequest) -> Empty:
        self.calls.append(request)
        image, name = self._find(request.source), f"{request.repository}:{request.tag or 'latest'}"
        named = msgspec.structs.replace(image, repo_tags=(*image.repo_tags, name))
        self.images |= {each: named for each, known in self.images.items() if known.id == image.id} | {name: named}
        self.changed()
        return Empty()

    async def fetch(self, request: contract.FetchRequest) -> FetchReply:
        self.calls.append(request)
        self.images |= {name.removesuffix(":latest"): BUSYBOX for name in request.names}
        return FetchReply(image_id=BUSYBOX.id)

    async def remove(self, request: contract.RemoveRequest) -> contract.RemoveReply:
        self.calls.append(request)
        image = self._find(request.reference)
        self.images.pop(request.reference, None)
        self.changed()
        removed = (contract.Removed(untagged=request.reference), contract.Removed(deleted=image.id))
        return contract.RemoveReply(removed=removed)

    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        self.calls.append(request)
        return PruneReport()

    async def usage(self, request: contract.UsageRequest) -> contract.UsageReply:
        return contract.UsageReply(images={image.id: image.size for image in self.images.values()}, layers=1_984_394)

    async def load(self, request: contract.LoadRequest) -> StreamOffer:
        self.calls.append(request)
        return self._receiver(b'{"stream":"Loaded image: busybox:latest\\n"}\n')

    async def import_(self, request: contract.ImportRequest) -> StreamOffer:
        self.calls.append(request)
        return self._receiver(b'{"status":"sha256:' + b"ef" * 32 + b'"}\n')

    def _receiver(self, line: bytes) -> StreamOffer:
        async def serve(channel: Channel) -> None:
            self.received = b""
            while data := await channel.read():
                self.received += data
            if not self.received:
                error = {"errorDetail": {"message": "empty archive"}, "error": "empty archive"}
                await channel.write(msgspec.json.encode(error) + b"\n")
                return
            await channel.write(line)

        return self._kernel.streams.offer(serve, framed=False)

    async def save(self, request: contract.SaveRequest) -> StreamOffer:
        self.calls.append(request)
        for reference in request.references:
            self._find(reference)

        async def serve(channel: Channel) -> None:
            for _ in range(63):
                await channel.write(b"t" * (64 << 10))
            await channel.write((b"t" * (63 << 10)).ljust(64 << 10, b"\0"))  # an archive ends in zeros

        return self._kernel.streams.offer(serve, framed=False)

    async def pull(self, request: contract.PullRequest) -> StreamOffer:
        self.calls.append(request)
        raise NotFound(f"pull access denied for {request.reference}, repository does not exist")

    async def push(self, request: contract.PushRequest) -> StreamOffer:
        self.calls.append(request)

        async def serve(channel: Channel) -> None:
            await channel.write(b'{"status":"The push refers to repository [x]"}\r\n')
            if "broken" not in request.reference:
                await channel.write(b'{"progressDetail":{},"aux":{"Tag":"1"}}\r\n')

        return self._kernel.streams.offer(serve, framed=False)

    async def login(self, request: registries.LoginRequest) -> registries.LoginReply:
        self.calls.append(request)
        if not request.auth.password:
            raise Unauthenticated("unauthorized: incorrect username or password")
        return registries.LoginReply(status="Login Succeeded", identity_token="token")

    async def search(self, request: registries.SearchRequest) -> registries.SearchReply:
        self.calls.append(request)
        return registries.SearchReply(results=(registries.SearchResult(name="found", stars=3),))

    async def distribution(self, request: registries.DistributionRequest) -> registries.DistributionReply:
        self.calls.append(request)
        return registries.DistributionReply(media_type="m", digest="sha256:d", size=5)

    async def referrers(self, request: registries.ReferrersRequest) -> registries.ReferrersReply:
        self.calls.append(request)
        blob = Descriptor(media_type="text/plain", digest="sha256:b", size=2)
        content = registries.Artifact(manifest=b"{}", layers=(blob,), blobs=(b"hi",)) if request.content else None
        signature = Descriptor(media_type="m", digest="sha256:r", size=2, annotations={"a": "b"})
        found = registries.Referrer(descriptor=signature, artifact_type="x/sig", content=content)
        return registries.ReferrersReply(digest="sha256:d", referrers=(found,))
