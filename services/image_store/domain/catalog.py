"""The images and names of this node as one model in memory; looking up costs no I/O."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator

import msgspec

from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import Image, ReferenceRecord
from shared.errors import InvalidArgument, NotFound

from . import platform as platforms
from .digest import hex_of
from .reference import Identifier, Reference, parse, parse_any


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An image in the store: without its names, with all content it needs."""

    image: Image
    manifest: Descriptor
    blobs: frozenset[str]
    chains: tuple[str, ...]


class Catalog:
    """Images by id, references by full name, and the way from what users type to an image."""

    def __init__(self) -> None:
        self._stored: dict[str, Stored] = {}
        self._records: dict[str, ReferenceRecord] = {}
        self._names: dict[str, dict[str, Reference]] = {}
        self._hexes: list[str] = []
        self._shown: dict[str, Image] = {}
        self._children: dict[str, set[str]] = {}
        self.changed: Callable[[], None] = lambda: None
        """Called after each change."""

    def add(self, stored: Stored) -> None:
        image = stored.image
        if image.id in self._stored:
            self.discard(image.id)
        self._stored[image.id] = stored
        insort(self._hexes, hex_of(image.id))
        if image.parent:
            self._children.setdefault(image.parent, set()).add(image.id)
        self._shown.pop(image.id, None)
        self.changed()

    def discard(self, image_id: str) -> None:
        stored = self._stored.pop(image_id, None)
        if stored is None:
            return
        self._hexes.remove(hex_of(image_id))
        self._children.get(stored.image.parent, set()).discard(image_id)
        self._shown.pop(image_id, None)
        self.changed()

    def name(self, record: ReferenceRecord) -> None:
        """Gives a name to an image, taking it from whichever had it."""
        self.unname(record.reference)
        self._records[record.reference] = record
        self._names.setdefault(record.image_id, {})[record.reference] = parse(record.reference)
        self._shown.pop(record.image_id, None)
        self.changed()

    def unname(self, reference: str) -> None:
        record = self._records.pop(reference, None)
        if record is not None:
            self._names[record.image_id].pop(reference)
            self._shown.pop(record.image_id, None)
            self.changed()

    def holder(self, reference: Reference) -> str:
        """The id of the image that has this name, or ""."""
        record = self._records.get(str(reference.key()))
        return record.image_id if record and record.image_id in self._stored else ""

    def references(self, image_id: str) -> tuple[Reference, ...]:
        """The image's names in Docker's order."""
        names = self._names.get(image_id, {})
        return tuple(names[name] for name in sorted(names))

    def of_repository(self, name: str) -> Iterator[tuple[Reference, str]]:
        """All names in one repository with their images."""
        for full in sorted(self._records):
            record = self._records[full]
            reference = self._names[record.image_id][full]
            if reference.name == name and record.image_id in self._stored:
                yield reference, record.image_id

    def children(self, image_id: str) -> frozenset[str]:
        return frozenset(self._children.get(image_id, ()))

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._stored

    def stored(self, image_id: str) -> Stored:
        return self._stored[image_id]

    def all(self) -> Iterable[Stored]:
        return self._stored.values()

    def image(self, image_id: str) -> Image:
        """The image with its names."""
        shown = self._shown.get(image_id)
        if shown is None:
            shown = self._shown[image_id] = self._show(image_id)
        return shown

    def images(self) -> Iterator[Image]:
        return (self.image(image_id) for image_id in self._stored)

    def _show(self, image_id: str) -> Image:
        references = self.references(image_id)
        return msgspec.structs.replace(
            self._stored[image_id].image,
            repo_tags=tuple(each.familiar for each in references if not each.digest),
            repo_digests=tuple(each.familiar for each in references if each.digest),
            last_tagged=max((self._records[str(each)].tagged for each in references), default=0),
        )

    def find(self, text: str) -> Image:
        """The image a user means: by name, else by id or the beginning of one.

        Raises `InvalidArgument` for what is neither, `NotFound` in Docker's words.
        """
        parsed = parse_any(text)
        if isinstance(parsed, Identifier):
            if parsed.digest in self._stored:
                return self.image(parsed.digest)
            raise NotFound(f"No such image: {parsed.digest}")
        image_id = self.holder(parsed) or self.by_prefix(text)
        if image_id:
            return self.image(image_id)
        raise NotFound(f"No such image: {parsed.with_default_tag().familiar}")

    def by_prefix(self, text: str) -> str:
        """The id that begins so, or "" when none does or several do."""
        prefix = text.removeprefix("sha256:")
        at = bisect_left(self._hexes, prefix)
        found = [each for each in self._hexes[at : at + 2] if prefix and each.startswith(prefix)]
        return f"sha256:{found[0]}" if len(found) == 1 else ""

    def resolve(self, text: str, platform: Platform | None = None) -> Image:
        """As `find`; `NotFound` as well when the image is for another platform than asked for."""
        if not text:
            raise InvalidArgument("invalid reference format")
        image = self.find(text)
        if platform is not None and not platforms.matches(platforms.check(platform), image.platform):
            raise NotFound(
                f"image with reference {text} was found but its platform ({platforms.describe(image.platform)}) "
                f"does not match the specified platform ({platforms.describe(platform)})"
            )
        return image
