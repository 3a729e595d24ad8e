from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.image_store.domain.catalog import Catalog, Stored
from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import Image, ReferenceRecord
from shared.digest import digest_of, hex_of
from shared.errors import InvalidArgument, NotFound
from shared.reference import parse

Add = Callable[..., str]
DIGEST = "sha256:" + "1" * 64


def test_an_image_is_found_by_all_its_names(catalog: Catalog, add: Add) -> None:
    image_id = add("a", "busybox:latest", "busybox:1", f"busybox@{DIGEST}")
    for text in (
        "busybox",
        "busybox:1",
        "docker.io/library/busybox",
        f"busybox:other@{DIGEST}",
        image_id,
        image_id[7:],
        image_id[7:9],
    ):
        assert catalog.resolve(text).id == image_id
    shown = catalog.image(image_id)
    assert shown.repo_tags == ("busybox:1", "busybox:latest")
    assert shown.repo_digests == (f"busybox@{DIGEST}",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nope", "No such image: nope:latest"),
        ("nope:1", "No such image: nope:1"),
        ("docker.io/library/nope", "No such image: nope:latest"),
        (DIGEST, f"No such image: {DIGEST}"),
        ("1" * 64, f"No such image: {DIGEST}"),
    ],
)
def test_what_is_not_there_in_dockers_words(catalog: Catalog, text: str, message: str) -> None:
    with pytest.raises(NotFound) as missing:
        catalog.resolve(text)
    assert missing.value.message == message


def test_a_name_goes_before_an_id_that_begins_so(catalog: Catalog, add: Add) -> None:
    first = add("a")
    second = add("b", f"{first[7:12]}:latest")
    assert catalog.resolve(first[7:12]).id == second


def test_a_beginning_of_several_ids_is_none(catalog: Catalog, add: Add) -> None:
    ids = [add(str(number)) for number in range(40)]
    shared = next(hex_of(one)[:1] for one in ids if sum(hex_of(other)[:1] == hex_of(one)[:1] for other in ids) > 1)
    with pytest.raises(NotFound):
        catalog.resolve(shared)


def test_a_name_moves_from_image_to_image(catalog: Catalog, add: Add) -> None:
    first = add("a", "x:1")
    second = add("b", "x:1")
    assert catalog.resolve("x:1").id == second
    assert catalog.image(first).repo_tags == ()
    catalog.unname("docker.io/library/x:1")
    catalog.unname("docker.io/library/x:1")
    assert catalog.image(second).repo_tags == ()


def test_names_wait_for_their_image(catalog: Catalog, add: Add) -> None:
    image_id = digest_of(b"a")
    catalog.name(ReferenceRecord(reference="docker.io/library/x:1", image_id=image_id))
    assert catalog.holder(parse("x:1")) == ""
    with pytest.raises(NotFound):
        catalog.resolve("x:1")
    add("a")
    assert catalog.resolve("x:1").id == image_id


def test_a_discarded_image_is_gone(catalog: Catalog, add: Add) -> None:
    parent = add("a")
    child = add("b", parent=parent)
    assert catalog.children(parent) == {child}
    catalog.discard(child)
    catalog.discard(child)
    assert catalog.children(parent) == frozenset()
    assert child not in catalog


def test_the_platform_asked_for_must_be_the_images(catalog: Catalog, add: Add) -> None:
    image = Image(id=DIGEST, platform=Platform(architecture="arm64"))
    manifest = Descriptor(media_type="m", digest=DIGEST, size=1)
    catalog.add(Stored(image=image, manifest=manifest, blobs=frozenset(), chains=()))
    assert catalog.resolve(DIGEST, Platform(architecture="aarch64")).id == DIGEST
    with pytest.raises(NotFound) as missing:
        catalog.resolve(DIGEST, Platform(architecture="amd64"))
    assert missing.value.message == (
        f"image with reference {DIGEST} was found but its platform (linux/arm64) "
        "does not match the specified platform (linux/amd64)"
    )
    with pytest.raises(InvalidArgument):
        catalog.resolve("")


def test_a_repositorys_names(catalog: Catalog, add: Add) -> None:
    first, second = add("a", "x:2", "y:1"), add("b", "x:1")
    assert [(each.tag, images) for each, images in catalog.of_repository("docker.io/library/x")] == [
        ("1", (second,)),
        ("2", (first,)),
    ]


ARM, AMD, S390 = Platform(architecture="arm64"), Platform(), Platform(architecture="s390x")


def several(catalog: Catalog, name: str, *chosen: Platform) -> list[str]:
    """One name for images of several platforms."""
    ids = [digest_of(f"{name}{platform}".encode()) for platform in chosen]
    for image_id, platform in zip(ids, chosen, strict=True):
        manifest = Descriptor(media_type="m", digest=image_id, size=1)
        image = Image(id=image_id, platform=platform)
        catalog.add(Stored(image=image, manifest=manifest, blobs=frozenset(), chains=()))
    catalog.name(ReferenceRecord(reference=f"docker.io/library/{name}", image_id=ids[0], others=tuple(ids[1:])))
    return ids


def test_a_name_of_several_platforms(catalog: Catalog) -> None:
    amd, arm = several(catalog, "x:1", AMD, ARM)
    assert catalog.resolve("x:1").id == catalog.resolve("x:1", AMD).id == amd
    assert catalog.resolve("x:1", ARM).id == catalog.resolve("x:1", Platform(architecture="aarch64")).id == arm
    assert catalog.image(arm).repo_tags == catalog.image(amd).repo_tags == ("x:1",)
    assert (catalog.stands_behind(amd), catalog.stands_behind(arm)) == (False, True)
    assert catalog.family("x:1") == (amd, arm)
    assert catalog.family(arm) == (arm,)
    with pytest.raises(NotFound) as missing:
        catalog.resolve("x:1", S390)
    assert missing.value.message == (
        "image with reference x:1 was found but its platform (linux/amd64, linux/arm64) "
        "does not match the specified platform (linux/s390x)"
    )
    with pytest.raises(NotFound):
        catalog.resolve(arm, AMD)


def test_a_name_of_several_platforms_of_which_one_is_gone(catalog: Catalog) -> None:
    amd, arm = several(catalog, "x:1", AMD, ARM)
    catalog.discard(amd)
    assert (catalog.resolve("x:1").id, catalog.stands_behind(arm)) == (arm, False)
    catalog.unname("docker.io/library/x:1")
    assert catalog.image(arm).repo_tags == ()


@given(st.lists(st.sampled_from(["amd64", "arm64", "386", "s390x", "riscv64"]), min_size=1, unique=True), st.data())
def test_of_several_the_one_for_the_platform_is_found_in_whatever_order(names: list[str], data: st.DataObject) -> None:
    catalog = Catalog()
    ids = several(catalog, "x:1", *(Platform(architecture=name) for name in data.draw(st.permutations(names))))
    for image_id in ids:
        assert catalog.resolve("x:1", catalog.image(image_id).platform).id == image_id


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60, unique=True), st.integers(1, 64))
def test_a_prefix_finds_what_a_search_through_all_finds(seeds: list[int], length: int) -> None:
    catalog = Catalog()
    ids = [digest_of(str(seed).encode()) for seed in seeds]
    for image_id in ids:
        manifest = Descriptor(media_type="m", digest=image_id, size=1)
        catalog.add(Stored(image=Image(id=image_id), manifest=manifest, blobs=frozenset(), chains=()))
    prefix = hex_of(ids[0])[:length]
    found = [image_id for image_id in ids if hex_of(image_id).startswith(prefix)]
    assert catalog.by_prefix(prefix) == (found[0] if len(found) == 1 else "")
