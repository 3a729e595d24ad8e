"""The endpoints of the volume service."""

from __future__ import annotations

import asyncio
import hashlib
import re
import weakref
from pathlib import Path

import msgspec

from shared import clock, hostmounts, ids
from shared.contracts import volume as contract
from shared.contracts.base import Empty
from shared.contracts.common import DockerEvent, PruneReport, StreamOffer
from shared.contracts.trees import SyncInRequest, SyncOutRequest, SyncReply
from shared.contracts.volume import VolumeSpec
from shared.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from shared.service import Kernel
from shared.shielded import carried_through
from shared.treesync import Passing

from .adapters import mounts
from .adapters.folders import Folders, is_empty
from .adapters.users import Users
from .catalog import Catalog
from .domain import mounting, rules, selection

_USER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,127}\Z")


class VolumeService:
    """Volumes of one node; a plain volume is a folder, one with options is mounted while anybody uses it."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.tasks = kernel.tasks
        run = kernel.settings.run_path / "volume"
        self._folders = Folders(hostmounts.volumes_dir(kernel.settings))
        self._users = Users(run / "users")
        self._parts = run / "parts"
        self._catalog = Catalog(kernel.node, kernel.state, self._folders, self._changed)
        self._passing = Passing(kernel.streams, kernel.tasks)
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def start(self) -> None:
        """Brings records, folders, mounts and users to agree."""
        await asyncio.to_thread(hostmounts.prepare, self._kernel.settings)
        self._users.open()
        await self._catalog.open()
        await asyncio.to_thread(self._mend_mounts)

    def _mend_mounts(self) -> None:
        """A mount that nobody uses goes; one that is used and gone comes back as far as it can."""
        for spec in self._catalog.all():
            target = self._folders.data(spec.name)
            if rules.needs_mount(spec.options) and not self._users.of(spec.name):
                mounts.unmount(target)
        for path in self._parts.glob("*/*/*"):
            user, name = path.parts[-3:-1]
            if user not in self._users.of(name):
                mounts.remove_part(path)

    @carried_through
    async def create(self, request: contract.CreateRequest) -> VolumeSpec:
        name = request.name or ids.new_id()
        anonymous = request.anonymous or not request.name
        labels = {**request.labels, rules.ANONYMOUS_LABEL: ""} if anonymous else request.labels
        rules.check_driver(name, request.driver)
        rules.check_name(name)
        rules.check_options(name, request.options)
        async with self._lock(name):
            if (present := self._catalog.get(name)) is not None:
                return present
            spec = VolumeSpec(
                name=name,
                driver=rules.DRIVER,
                mountpoint=str(self._folders.data(name)),
                created=clock.now_ns(),
                options=request.options,
                labels=labels,
                anonymous=anonymous,
            )
            await self._catalog.add(spec)
        self._emit("create", name)
        return spec

    async def inspect(self, request: contract.NameRequest) -> VolumeSpec:
        return self._find(request.name)

    async def list(self, request: contract.ListRequest) -> contract.ListReply:
        used = self._in_use(request.in_use)
        found = (spec for spec in self._catalog.all() if selection.listed(spec, request.filters, used))
        return contract.ListReply(volumes=tuple(found))

    @carried_through
    async def remove(self, request: contract.RemoveRequest) -> Empty:
        async with self._lock(request.name):
            spec = self._catalog.get(request.name)
            if spec is None:
                if request.force:
                    return Empty()
                raise NotFound(f"get {request.name}: no such volume")
            users = request.users or tuple(sorted(self._users.of(spec.name)))
            if users:
                raise Conflict(f"remove {spec.name}: volume is in use - [{', '.join(users)}]")
            await self._remove(spec)
        return Empty()

    async def _remove(self, spec: VolumeSpec) -> None:
        self._passing.end(spec.name)
        if rules.needs_mount(spec.options):
            await asyncio.to_thread(mounts.unmount, self._folders.data(spec.name))
        await self._catalog.remove(spec)
        self._emit("destroy", spec.name)

    @carried_through
    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        removed, freed = [], 0
        for spec in self._catalog.all():
            async with self._lock(spec.name):
                used = self._in_use(request.in_use)
                if selection.pruned(spec, request.filters, used) and self._catalog.get(spec.name) is spec:
                    size = await asyncio.to_thread(self._folders.size, spec.name)
                    await self._remove(spec)
                    removed.append(spec.name)
                    freed += size
        self._emit("prune", "", reclaimed=str(freed))
        return PruneReport(removed=tuple(removed), bytes_freed=freed)

    @carried_through
    async def mount(self, request: contract.MountRequest) -> contract.MountReply:
        self._check_user(request.user)
        rules.check_subpath(request.subpath)
        async with self._lock(request.name):
            spec = self._find(request.name)
            first = request.user not in self._users.of(spec.name)
            self._users.add(spec.name, request.user)
            try:
                path = await asyncio.to_thread(self._make_usable, spec, request)
            except BaseException:
                if first:
                    await asyncio.to_thread(self._make_unusable, spec.name, request.user)
                raise
        if first:
            self._emit(
                "mount",
                spec.name,
                container=request.user,
                destination=request.destination,
                propagation=request.propagation,
                **{"read/write": "true" if request.rw else "false"},
            )
        return contract.MountReply(path=str(path), empty=is_empty(path))

    def _make_usable(self, spec: VolumeSpec, request: contract.MountRequest) -> Path:
        data = self._folders.data(spec.name)
        self._folders.make_durable(spec.name)
        if rules.needs_mount(spec.options) and not mounts.is_mounted(data):
            mounts.mount(mounting.plan(spec.options), data)
        if not request.subpath:
            return data
        part = self._parts_of(spec.name, request.user) / hashlib.sha256(request.subpath.encode()).hexdigest()[:16]
        mounts.bind_part(data, request.subpath, part)
        return part

    @carried_through
    async def unmount(self, request: contract.UnmountRequest) -> Empty:
        self._check_user(request.user)
        for name in [request.name] if request.name else self._users.volumes(request.user):
            async with self._lock(name):
                if request.user in self._users.of(name):
                    await asyncio.to_thread(self._make_unusable, name, request.user)
                    self._emit("unmount", name, container=request.user)
        return Empty()

    def _make_unusable(self, name: str, user: str) -> None:
        """The user's parts go, and with the last user the mount; only then the user is forgotten."""
        for part in self._parts_of(name, user).glob("*"):
            mounts.remove_part(part)
        spec = self._catalog.get(name)
        if spec is not None and rules.needs_mount(spec.options) and self._users.of(name) <= {user}:
            mounts.unmount(self._folders.data(name))
        self._users.remove(name, user)

    async def usage(self, request: Empty) -> contract.UsageReply:
        names = [spec.name for spec in self._catalog.all() if not rules.needs_mount(spec.options)]
        sizes = await asyncio.to_thread(lambda: {name: self._folders.size(name) for name in names})
        return contract.UsageReply(sizes=sizes)

    async def sync_out(self, request: SyncOutRequest) -> SyncReply:
        root = self._plain(request.key)
        there = SyncInRequest(key=request.key, last=request.last)
        return await self._passing.send(
            request, root, lambda: self._kernel.bus.call(contract.SYNC_IN, there, node=request.node)
        )

    async def sync_in(self, request: SyncInRequest) -> StreamOffer:
        return await self._kernel.streams.offer_direct(
            self._passing.receiver(self._plain(request.key), request.last), framed=False
        )

    def _plain(self, name: str) -> str:
        """The folder of a volume that is one; what others keep (NFS, for one) they keep for all hosts."""
        spec = self._find(name)
        if rules.needs_mount(spec.options):
            raise FailedPrecondition(f"volume {name} is mounted from elsewhere: its content is not this host's")
        return str(self._folders.data(spec.name))

    def _find(self, name: str) -> VolumeSpec:
        spec = self._catalog.get(name)
        if spec is None:
            raise NotFound(f"get {name}: no such volume")
        return spec

    def _in_use(self, told: tuple[str, ...]) -> set[str]:
        return {*told, *self._users.in_use()}

    def _parts_of(self, name: str, user: str) -> Path:
        return self._parts / user / name

    def _check_user(self, user: str) -> None:
        if not _USER.match(user):
            raise InvalidArgument(f"user: {user!r} is not an id")

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock

    def _changed(self, changed: contract.Changed) -> None:
        self._kernel.bus.emit(contract.CHANGED, msgspec.structs.replace(changed, node=self._kernel.node))

    def _emit(self, action: str, name: str, **more: str) -> None:
        attributes = {**({"driver": rules.DRIVER} if name else {}), **more}
        event = DockerEvent(type="volume", action=action, actor=name, attributes=attributes, time_ns=clock.now_ns())
        self._kernel.bus.emit(contract.VOLUME_EVENT, event, suffix=action)
