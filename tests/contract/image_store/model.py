"""A model of the image store: everything in dictionaries, archives read by `tarfile`."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from typing import Any

import msgspec

from shared.clock import now_ns
from shared.contracts import image_store as contract
from shared.contracts.base import Empty
from shared.contracts.common import DockerEvent, Mount, Platform, Ref, StreamOffer
from shared.contracts.container import ContainerConfig
from shared.contracts.image_store import Image
from shared.errors import Conflict, InvalidArgument, NotFound, NotImplementedYet
from shared.service import Kernel
from shared.streams import Channel
from tools import images

Lines = list[dict[str, str]]


class ImageStoreModel:
    """Serves the image store's contract for images of one platform, without a disk."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._images: dict[str, Image] = {}
        self._sources: dict[str, tuple[bytes, dict[str, bytes]]] = {}
        self._names: dict[str, str] = {}
        self._snapshots: dict[str, contract.Snapshot] = {}

    def _tell(self, action: str, image_id: str, name: str = "") -> None:
        event = DockerEvent(
            type="image", action=action, actor=image_id, attributes={"name": name or image_id}, time_ns=now_ns()
        )
        self._kernel.bus.emit(contract.IMAGE_EVENT, event, suffix=action)

    async def _name(self, name: str, image_id: str) -> None:
        full = name if "/" in name else f"docker.io/library/{name}"
        parts = (self._kernel.node, full)
        record = contract.ReferenceRecord(reference=full, image_id=image_id, tagged=now_ns())
        if name in self._names:
            await self._kernel.state.delete(contract.REFERENCES, *parts)
        await self._kernel.state.create(contract.REFERENCES, *parts, value=record)
        self._names[name] = image_id

    def _find(self, reference: str) -> Image:
        if reference != reference.lower():
            raise InvalidArgument(f"invalid reference format: repository name (library/{reference}) must be lowercase")
        tagged = reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"
        image_id = self._names.get(tagged.removeprefix("docker.io/library/"), "")
        found = [
            each for each in self._images if each.removeprefix("sha256:").startswith(reference.removeprefix("sha256:"))
        ]
        if not image_id and len(found) != 1:
            raise NotFound(f"No such image: {reference if reference.startswith('sha256:') else tagged}")
        return self._shown(image_id or found[0])

    def _shown(self, image_id: str) -> Image:
        names = tuple(sorted(name for name, holder in self._names.items() if holder == image_id))
        return msgspec.structs.replace(self._images[image_id], repo_tags=names)

    async def resolve(self, request: contract.ResolveRequest) -> Image:
        image = self._find(request.reference)
        has, wanted = image.platform, request.platform
        if wanted is not None and wanted.architecture != has.architecture:
            raise NotFound(
                f"image with reference {request.reference} was found but its platform (linux/{has.architecture}) "
                f"does not match the specified platform (linux/{wanted.architecture})"
            )
        return image

    async def list(self, request: contract.ListRequest) -> contract.ListReply:
        for name in request.filters:
            if name not in ("dangling", "label", "before", "since", "reference", "until"):
                raise InvalidArgument(f"invalid filter '{name}'")
        shown = [self._shown(image_id) for image_id in self._images]
        for value in request.filters.get("dangling", ()):
            shown = [image for image in shown if (not image.repo_tags) == (value == "true")]
        for value in request.filters.get("label", ()):
            key, _, text = value.partition("=")
            shown = [image for image in shown if image.config.labels.get(key) == text]
        if patterns := request.filters.get("reference"):
            shown = [image for image in shown if any(tag.partition(":")[0] in patterns for tag in image.repo_tags)]
        return contract.ListReply(images=tuple(sorted(shown, key=lambda image: -image.created_ns)))

    async def tag(self, request: contract.TagRequest) -> Empty:
        image = self._find(request.source)
        if request.repository != request.repository.lower():
            raise InvalidArgument(f"invalid reference format: repository name ({request.repository}) must be lowercase")
        name = f"{request.repository}:{request.tag or 'latest'}"
        await self._name(name, image.id)
        self._tell("tag", image.id, name)
        return Empty()

    async def remove(self, request: contract.RemoveRequest) -> contract.RemoveReply:
        image = self._find(request.reference)
        by_id = image.id.removeprefix("sha256:").startswith(request.reference.removeprefix("sha256:"))
        self._check(image, request, by_id)
        names = image.repo_tags if by_id else tuple(n for n in image.repo_tags if n == request.reference)
        lines = []
        for name in names:
            await self._kernel.state.delete(contract.REFERENCES, self._kernel.node, f"docker.io/library/{name}")
            del self._names[name]
            self._tell("untag", image.id)
            lines.append(contract.Removed(untagged=name))
        if not self._shown(image.id).repo_tags:
            del self._images[image.id]
            self._tell("delete", image.id)
            lines.append(contract.Removed(deleted=image.id))
        return contract.RemoveReply(removed=tuple(lines))

    @staticmethod
    def _check(image: Image, request: contract.RemoveRequest, by_id: bool) -> None:
        short, container = image.id[7:19], request.in_use.get(image.id, "")[:12]
        if image.id in request.running and by_id:
            raise Conflict(
                f"conflict: unable to delete {short} (cannot be forced) - "
                f"image is being used by running container {container}"
            )
        if container and not by_id and len(image.repo_tags) == 1 and not request.force:
            raise Conflict(
                f'conflict: unable to remove repository reference "{request.reference}" (must force) - '
                f"container {container} is using its referenced image {short}"
            )
        if by_id and len(image.repo_tags) > 1 and not request.force:
            raise Conflict(
                f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
            )

    async def prepare(self, request: contract.PrepareRequest) -> contract.Snapshot:
        image = self._find(request.reference)
        present = self._snapshots.get(request.key)
        if present is not None and present.image.id == image.id:
            return present
        mounts = (Mount(type="overlay", source="overlay", options=("lowerdir=/l", "upperdir=/u", "workdir=/w")),)
        self._snapshots[request.key] = contract.Snapshot(key=request.key, image=image, mounts=mounts, upper="/u")
        return self._snapshots[request.key]

    async def snapshot(self, request: Ref) -> contract.Snapshot:
        if request.id not in self._snapshots:
            raise NotFound(f"no snapshot {request.id}")
        return self._snapshots[request.id]

    async def release(self, request: Ref) -> Empty:
        self._snapshots.pop(request.id, None)
        return Empty()

    async def usage(self, request: contract.UsageRequest) -> contract.UsageReply:
        keys = request.keys or tuple(self._snapshots)
        return contract.UsageReply(
            snapshots={key: 0 for key in keys if key in self._snapshots},
            images={image.id: image.size for image in self._images.values()},
            layers=sum(image.size for image in self._images.values()),
        )

    def _receiving(self, work: Callable[[bytes], Any]) -> StreamOffer:
        async def serve(channel: Channel) -> None:
            data = b""
            while piece := await channel.read():
                data += piece
            try:
                lines = await work(data)
            except (tarfile.TarError, KeyError) as error:
                lines = [{"errorDetail": {"message": str(error)}, "error": str(error)}]
            for line in lines:
                await channel.write(json.dumps(line).encode() + b"\n")

        return self._kernel.streams.offer(serve, framed=False)

    async def load(self, request: contract.LoadRequest) -> StreamOffer:
        return self._receiving(self._load)

    async def _load(self, data: bytes) -> Lines:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            files = {each.name: archive.extractfile(each).read() for each in archive if each.isfile()}  # type: ignore[union-attr]
        lines = []
        for item in json.loads(files["manifest.json"]):
            image_id = self._add(files[item["Config"]], {path: files[path] for path in item["Layers"]})
            for tag in item["RepoTags"] or ():
                await self._name(tag, image_id)
                lines.append({"stream": f"Loaded image: {tag}\n"})
            if not item["RepoTags"]:
                lines.append({"stream": f"Loaded image ID: {image_id}\n"})
            self._tell("load", image_id)
        return lines

    def _add(self, document: bytes, layers: dict[str, bytes]) -> str:
        raw = json.loads(document)
        image_id = "sha256:" + hashlib.sha256(document).hexdigest()
        given = raw.get("config") or {}
        config = ContainerConfig(
            cmd=tuple(given["Cmd"]) if given.get("Cmd") else None, labels=given.get("Labels") or {}
        )
        self._images[image_id] = Image(
            id=image_id, config=config, platform=Platform(architecture=raw["architecture"]),
            created=raw["created"], created_ns=1, size=sum(map(len, layers.values())),
            diff_ids=tuple(raw["rootfs"]["diff_ids"]),
        )  # fmt: skip
        self._sources[image_id] = document, layers
        return image_id

    async def save(self, request: contract.SaveRequest) -> StreamOffer:
        chosen = [self._find(reference) for reference in request.references]
        items, entries = [], []
        for image in chosen:
            document, layers = self._sources[image.id]
            config = f"{image.id[7:]}.json"
            items.append({"Config": config, "RepoTags": list(image.repo_tags), "Layers": list(layers)})
            entries += [images.entry(name, data) for name, data in {config: document, **layers}.items()]
        data = images.tar([*entries, images.entry("manifest.json", json.dumps(items).encode())])
        return self._kernel.streams.offer(lambda channel: channel.write(data), framed=False)

    async def import_(self, request: contract.ImportRequest) -> StreamOffer:
        if request.repository != request.repository.lower():
            raise InvalidArgument(f"invalid reference format: repository name ({request.repository}) must be lowercase")
        for change in request.changes:
            if not change.startswith(("CMD ", "LABEL ")):
                raise InvalidArgument(f"{change.partition(' ')[0]} is not a valid change command")

        async def work(data: bytes) -> Lines:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                archive.getmembers()
            commands = [["/bin/sh", "-c", change[4:]] for change in request.changes if change.startswith("CMD ")]
            image = images.Image((data,), {"Cmd": commands[-1]} if commands else {}, ())
            image_id = self._add(image.config_json, {"layer": data})
            if request.repository:
                await self._name(f"{request.repository}:{request.tag or 'latest'}", image_id)
                self._tell("tag", image_id, request.repository)
            self._tell("import", image_id)
            return [{"status": image_id}]

        return self._receiving(work)

    async def changes(self, request: Ref) -> StreamOffer:
        if request.id not in self._snapshots:
            raise NotFound(f"no snapshot {request.id}")
        return self._kernel.streams.offer(lambda channel: channel.write(b""), framed=False)

    async def commit(self, request: contract.CommitRequest) -> contract.CommitReply:
        if request.key and request.parent:
            raise InvalidArgument("key, parent: only one of them")
        if request.key and request.key not in self._snapshots:
            raise NotFound(f"no snapshot {request.key}")
        parent = Image(id="")
        if request.key or request.parent:
            parent = self._snapshots[request.key].image if request.key else self._find(request.parent)
        if request.release:
            del self._snapshots[request.key]
        return await self._child(parent, request, parent.diff_ids)

    async def _child(
        self, parent: Image, request: contract.ImageSource, diff_ids: tuple[str, ...]
    ) -> contract.CommitReply:
        document = msgspec.json.encode([parent.id, msgspec.to_builtins(request), diff_ids])
        image_id = "sha256:" + hashlib.sha256(document).hexdigest()
        self._images[image_id] = Image(
            id=image_id, parent=parent.id, config=request.config, platform=parent.platform, created_ns=now_ns(),
            size=parent.size, diff_ids=diff_ids, history=(contract.HistoryEntry(comment=request.comment),),
        )  # fmt: skip
        name = f"{request.repository}:{request.tag or 'latest'}" if request.repository else ""
        if name:
            await self._name(name, image_id)
        return contract.CommitReply(image=self._shown(image_id), name=name)

    async def apply(self, request: contract.ApplyRequest) -> StreamOffer:
        parent = self._find(request.parent)

        async def work(data: bytes) -> Lines:
            digest = "sha256:" + hashlib.sha256(data).hexdigest()
            done = await self._child(parent, request, (*parent.diff_ids, digest))
            return [{"status": done.image.id}]

        return self._receiving(work)

    async def pull(self, request: contract.PullRequest) -> StreamOffer:
        raise NotImplementedYet("the model pulls nothing")
