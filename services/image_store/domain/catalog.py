"""The images and names of this node as one model in memory; looking up costs no I/O."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator

import msgspec

from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import Image, ReferenceRecord
from shared.digest import hex_of
from shared.errors import InvalidArgument, NotFound
from shared.reference import Identifier, Reference, parse, parse_any

from . import platform as platforms


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An image in the store: without its names, with all content it needs; `index` as in `ports.Indexed`."""

    image: Image
    manifest: Descriptor
    blobs: frozenset[str]
    chains: tuple[str, ...]
    index: Descriptor | None = None


class Catalog:
    """Images by id, references by full name, and the way from what users type to an image."""

    def __init__(self) -> None:
        self._stored: dict[str, Stored] = {}
        self._records: dict[str, ReferenceRecord] = {}
        self._names: dict[str, dict[str, Reference]] = {}
        self._hexes: list[str] = []
        self._shown: dict[str, Image] = {}
        self._children: dict[str, set[str]] = {}
        self.changed: Callable[[Iterable[str]], None] = lambda image_ids: None
        """Called after each change with the images that it was about, those below them included."""

    def add(self, stored: Stored) -> None:
        image = stored.image
        if image.id in self._stored:
            self.discard(image.id)
        self._stored[image.id] = stored
        insort(self._hexes, hex_of(image.id))
        if image.parent:
            self._children.setdefault(image.parent, set()).add(image.id)
        self._shown.pop(image.id, None)
        self.changed((image.id, image.parent))

    def discard(self, image_id: str) -> None:
        stored = self._stored.pop(image_id, None)
        if stored is None:
            return
        self._hexes.remove(hex_of(image_id))
        self._children.get(stored.image.parent, set()).discard(image_id)
        self._shown.pop(image_id, None)
        self.changed((image_id, stored.image.parent))

    def name(self, record: ReferenceRecord) -> None:
        """Gives a name to an image, or to one for each platform, taking it from whichever had it."""
        before = self._take(record.reference)
        self._records[record.reference] = record
        named = (record.image_id, *record.others)
        for image_id in named:
            self._names.setdefault(image_id, {})[record.reference] = parse(record.reference)
            self._shown.pop(image_id, None)
        self.changed(dict.fromkeys((*before, *named)))

    def unname(self, reference: str) -> None:
        if before := self._take(reference):
            self.changed(before)

    def _take(self, reference: str) -> tuple[str, ...]:
        """Takes a name away; the images that had it."""
        record = self._records.pop(reference, None)
        named = (record.image_id, *record.others) if record is not None else ()
        for image_id in named:
            self._names[image_id].pop(reference, None)
            self._shown.pop(image_id, None)
        return named

    def members(self, reference: Reference) -> tuple[str, ...]:
        """The ids of the images that have this name, one for each platform; first who is meant without one."""
        record = self._records.get(str(reference.key()))
        ids = (record.image_id, *record.others) if record else ()
        return tuple(image_id for image_id in ids if image_id in self._stored)

    def holder(self, reference: Reference) -> str:
        """The id of the image that has this name, or ""; of several the one that is meant without a platform."""
        return next(iter(self.members(reference)), "")

    def member(self, reference: Reference, wanted: Platform) -> str:
        """Of the images that have this name the one for a platform, or ""."""
        pairs = [(self._stored[each].image.platform, each) for each in self.members(reference)]
        return platforms.pick(wanted, pairs) or ""

    def stands_behind(self, image_id: str) -> bool:
        """Whether another image is meant by each of its names."""
        names = self.references(image_id)
        return bool(names) and all(self.holder(each) != image_id for each in names)

    def references(self, image_id: str) -> tuple[Reference, ...]:
        """The image's names in Docker's order."""
        names = self._names.get(image_id, {})
        return tuple(names[name] for name in sorted(names))

    def of_repository(self, name: str) -> Iterator[tuple[Reference, tuple[str, ...]]]:
        """All names in one repository with their images."""
        for full in sorted(self._records):
            record = self._records[full]
            reference = self._names[record.image_id][full]
            if reference.name == name and (members := self.members(reference)):
                yield reference, members

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
        """As `find`, of the images that have the name the one for the platform; `NotFound` when there is none."""
        if not text:
            raise InvalidArgument("invalid reference format")
        image = self.find(text)
        if platform is None:
            return image
        family = [self.image(each) for each in self.family(text)]
        found = platforms.pick(platforms.check(platform), [(each.platform, each) for each in family])
        if found is None:
            raise NotFound(
                f"image with reference {text} was found but its platform "
                f"({', '.join(platforms.describe(each.platform) for each in family)}) "
                f"does not match the specified platform ({platforms.describe(platform)})"
            )
        return found

    def family(self, text: str) -> tuple[str, ...]:
        """All images that a user's text stands for: those of a name, or the one of an id. Raises as `find`."""
        image_id = self.find(text).id
        parsed = parse_any(text)
        members = () if isinstance(parsed, Identifier) else self.members(parsed)
        return members or (image_id,)
