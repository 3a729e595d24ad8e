from __future__ import annotations

import msgspec

from services.image_store.domain import cache
from services.image_store.domain.catalog import Catalog, Stored
from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import ChildRequest, HistoryEntry, Image
from shared.digest import digest_of


def add(catalog: Catalog, name: str, parent: Image | None, created_by: str, created: int = 0) -> Image:
    before = parent or Image(id="")
    image = Image(
        id=digest_of(name.encode()),
        parent=before.id,
        created_ns=created,
        diff_ids=(*before.diff_ids, name),
        history=(*before.history, HistoryEntry(created_by=created_by)),
    )
    manifest = Descriptor(media_type="", digest=digest_of(b"m" + name.encode()), size=1)
    catalog.add(Stored(image=image, manifest=manifest, blobs=frozenset(), chains=()))
    return image


def test_the_newest_child() -> None:
    catalog = Catalog()
    base = add(catalog, "base", None, "FROM")
    add(catalog, "old", base, "RUN x", 1)
    new = add(catalog, "new", base, "RUN x", 2)
    add(catalog, "other", base, "RUN y", 3)
    assert cache.child(catalog, ChildRequest(parent=base.id, created_by="RUN x")) == new
    assert cache.child(catalog, ChildRequest(parent=new.id, created_by="RUN x")) is None
    assert cache.child(catalog, ChildRequest(parent="", created_by="FROM")) == base


def test_what_was_made_of_it_goes_by_the_newest() -> None:
    catalog = Catalog()
    base = add(catalog, "base", None, "FROM")
    first = add(catalog, "first", base, "RUN x", 1)
    add(catalog, "old", first, "RUN y", 2)
    second = add(catalog, "second", first, "RUN z", 3)
    third = add(catalog, "third", second, "RUN y", 4)
    assert cache.following(catalog, base) == (first, second, third)
    assert cache.following(catalog, third) == ()


def test_no_more_is_told_than_fits_a_message() -> None:
    catalog = Catalog()
    image = base = add(catalog, "base", None, "FROM")
    for number in range(3):
        image = add(catalog, str(number), image, f"RUN {number} {'x' * 50_000}", number)
    assert [each.id for each in cache.following(catalog, base)] == [digest_of(b"0")]


def test_only_what_leads_to_the_given_images() -> None:
    catalog = Catalog()
    base = add(catalog, "base", None, "FROM")
    old = add(catalog, "old", base, "RUN x", 1)
    add(catalog, "new", base, "RUN x", 2)
    end = add(catalog, "end", old, "RUN y", 3)
    asked = ChildRequest(parent=base.id, created_by="RUN x", cache_from=(end.id,))
    assert cache.child(catalog, asked) == old


def test_an_image_of_elsewhere_that_has_the_step() -> None:
    catalog = Catalog()
    base = add(catalog, "base", None, "FROM")
    other = add(catalog, "elsewhere", base, "RUN x")
    other = msgspec.structs.replace(other, parent="", id=digest_of(b"pulled"))
    manifest = Descriptor(media_type="", digest=digest_of(b"p"), size=1)
    catalog.add(Stored(image=other, manifest=manifest, blobs=frozenset(), chains=()))
    asked = ChildRequest(parent=base.id, created_by="RUN x", cache_from=(other.id,))
    assert cache.origin(catalog, asked) == other.id
    assert cache.origin(catalog, msgspec.structs.replace(asked, created_by="RUN y")) == ""


def test_steps_of_another_platform_are_not_taken_over() -> None:
    """The same words with the same layer below, on nothing or on an image: what they made is for another machine."""
    catalog = Catalog()
    for name in ("amd64", "arm64"):
        history = (HistoryEntry(created_by="COPY x"), HistoryEntry(created_by="ENV a=b"))
        image = Image(id=digest_of(name.encode()), platform=Platform(architecture=name), history=history)
        manifest = Descriptor(media_type="m", digest=image.id, size=1)
        catalog.add(Stored(image=image, manifest=manifest, blobs=frozenset(), chains=()))
    amd, arm = digest_of(b"amd64"), digest_of(b"arm64")
    first = Image(id=digest_of(b"first"), platform=Platform(), history=(HistoryEntry(created_by="COPY x"),))
    manifest = Descriptor(media_type="m", digest=first.id, size=1)
    catalog.add(Stored(image=first, manifest=manifest, blobs=frozenset(), chains=()))
    on_nothing = ChildRequest(parent="", created_by="COPY x", platform=Platform(), cache_from=(arm,))
    on_image = ChildRequest(parent=first.id, created_by="ENV a=b", cache_from=(arm,))
    for asked in (on_nothing, on_image):
        assert cache.origin(catalog, asked) == ""
        assert cache.origin(catalog, msgspec.structs.replace(asked, cache_from=(arm, amd))) == amd


def test_a_step_on_nothing_is_for_one_platform() -> None:
    catalog = Catalog()
    made = {}
    for name in ("amd64", "arm64"):
        image = Image(
            id=digest_of(name.encode()),
            platform=Platform(architecture=name),
            history=(HistoryEntry(created_by="COPY x"),),
        )
        manifest = Descriptor(media_type="m", digest=image.id, size=1)
        catalog.add(Stored(image=image, manifest=manifest, blobs=frozenset(), chains=()))
        made[name] = image.id
    for name, image_id in made.items():
        asked = ChildRequest(parent="", created_by="COPY x", platform=Platform(architecture=name))
        found = cache.child(catalog, asked)
        assert found is not None
        assert found.id == image_id
    other = ChildRequest(parent="", created_by="COPY x", platform=Platform(architecture="s390x"))
    assert cache.child(catalog, other) is None
