"""What `docker rmi` does, as a plan: which names go, which images, and when it is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.contracts.common import Platform
from shared.digest import hex_of, short
from shared.errors import Conflict
from shared.reference import Reference, parse

from .catalog import Catalog


@dataclass(frozen=True)
class Users:
    """Who uses images: of each image one container, a running one if there is any."""

    containers: Mapping[str, str] = field(default_factory=dict)
    running: frozenset[str] = frozenset()
    leased: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Untag:
    """`silent`: the name goes along with the last tag of its repository, without an event."""

    reference: Reference
    image_id: str
    silent: bool = False


@dataclass(frozen=True)
class Delete:
    """The image itself goes, with the layers only it stood on."""

    image_id: str


Step = Untag | Delete


class Refused(Conflict):
    """A conflict; `used` when it is because of a container."""

    def __init__(self, message: str, used: bool = False) -> None:
        super().__init__(message)
        self.used = used


def plan(
    catalog: Catalog, text: str, force: bool, prune: bool, users: Users, platform: Platform | None = None
) -> tuple[Step, ...]:
    """The steps in order; of the images that have the name all, or the one for `platform`.

    Raises `NotFound`, or `Conflict` in Docker's words when nothing may be done.
    """
    image_id = catalog.resolve(text, platform).id
    removal = _Removal(catalog, users)
    if is_id_prefix(image_id, text):
        removal.by_id(image_id, force, prune)
    else:
        removal.by_name((image_id,) if platform else catalog.family(text), text, force, prune)
    return tuple(removal.steps)


def is_id_prefix(image_id: str, text: str) -> bool:
    """Whether what was typed is the id, or the beginning of it."""
    return image_id.startswith(text) or hex_of(image_id).startswith(text)


def is_single(references: list[Reference]) -> bool:
    """Whether all names are of one repository with at most one tag."""
    if len(references) <= 1:
        return len(references) == 1
    tagged = [each for each in references if not each.digest]
    digested = {each.name for each in references if each.digest}
    first = (tagged or references)[0]
    return len(tagged) <= 1 and digested == {first.name}


class _Removal:
    """The plan as it grows: the catalog as it would be after the steps so far."""

    def __init__(self, catalog: Catalog, users: Users) -> None:
        self._catalog, self._users = catalog, users
        self.steps: list[Step] = []
        self._left: dict[str, list[Reference]] = {}
        self._deleted: set[str] = set()

    def _references(self, image_id: str) -> list[Reference]:
        return self._left.setdefault(image_id, list(self._catalog.references(image_id)))

    def _children(self, image_id: str) -> frozenset[str]:
        return self._catalog.children(image_id) - self._deleted

    def _untag(self, reference: Reference, image_id: str, silent: bool = False) -> None:
        self._references(image_id).remove(reference)
        self.steps.append(Untag(reference, image_id, silent))

    def by_id(self, image_id: str, force: bool, prune: bool) -> None:
        references = self._references(image_id)
        if is_single(references):
            self._check(image_id, stopped=not force, referenced=False)
            for reference in tuple(references):
                self._untag(reference, image_id)
        self._delete(image_id, force, prune, quiet=False)

    def by_name(self, image_ids: tuple[str, ...], text: str, force: bool, prune: bool) -> None:
        for image_id in image_ids:
            if not force and is_single(self._references(image_id)) and image_id in self._users.containers:
                container = short(self._users.containers[image_id])
                raise Refused(
                    f'conflict: unable to remove repository reference "{text}" (must force) - '
                    f"container {container} is using its referenced image {short(image_id)}"
                )
        for image_id in image_ids:
            self._by_name(image_id, parse(text).key(), force, prune)

    def _by_name(self, image_id: str, reference: Reference, force: bool, prune: bool) -> None:
        self._untag(reference, image_id)
        left = self._references(image_id)
        if not reference.digest and not any(not each.digest and each.name == reference.name for each in left):
            for each in [each for each in left if each.name == reference.name]:
                self._untag(each, image_id, silent=True)
        if not self._references(image_id):
            self._delete(image_id, force, prune, quiet=True)

    def _delete(self, image_id: str, force: bool, prune: bool, quiet: bool) -> None:
        try:
            self._check(image_id, stopped=not force, referenced=not force)
        except Refused as refused:
            dangling = not self._references(image_id) and not self._children(image_id)
            if quiet and (not dangling or refused.used):
                return
            raise
        for reference in tuple(self._references(image_id)):
            self._untag(reference, image_id)
        self.steps.append(Delete(image_id))
        self._deleted.add(image_id)
        parent = self._catalog.stored(image_id).image.parent
        if prune and parent in self._catalog:
            self._delete(parent, force=False, prune=True, quiet=True)

    def _check(self, image_id: str, stopped: bool, referenced: bool) -> None:
        """Raises `Refused` for a child or a running container, and for what else is asked to count."""
        container = short(self._users.containers.get(image_id, ""))
        if self._children(image_id):
            _refuse(image_id, "cannot be forced", "image has dependent child images")
        if image_id in self._users.leased:
            _refuse(image_id, "cannot be forced", "image is being used by a running build", True)
        if image_id in self._users.running:
            _refuse(image_id, "cannot be forced", f"image is being used by running container {container}", True)
        if referenced and self._references(image_id):
            _refuse(image_id, "must be forced", "image is referenced in multiple repositories")
        if stopped and container:
            _refuse(image_id, "must be forced", f"image is being used by stopped container {container}", True)


def _refuse(image_id: str, how: str, why: str, used: bool = False) -> None:
    raise Refused(f"conflict: unable to delete {short(image_id)} ({how}) - {why}", used)
