from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.image_store.domain.catalog import Catalog, Stored
from services.image_store.domain.removal import Delete, Untag, Users, is_single, plan
from shared.contracts.common import Descriptor
from shared.contracts.image_store import Image, ReferenceRecord
from shared.digest import digest_of, short
from shared.errors import Conflict, NotFound
from shared.reference import parse

Add = Callable[..., str]
DIGEST = "sha256:" + "1" * 64
CONTAINER = "c0ffee" * 10


def steps(
    catalog: Catalog, text: str, *, force: bool = False, prune: bool = True, stopped: str = "", running: str = ""
) -> list[str]:
    containers = {image_id: CONTAINER for image_id in (stopped, running) if image_id}
    users = Users(containers, frozenset({running} - {""}))
    return [
        f"untag {step.reference.familiar}" if isinstance(step, Untag) else f"delete {step.image_id}"
        for step in plan(catalog, text, force, prune, users)
    ]


def refusal(catalog: Catalog, text: str, force: bool = False, stopped: str = "", running: str = "") -> str:
    with pytest.raises(Conflict) as refused:
        steps(catalog, text, force=force, stopped=stopped, running=running)
    return refused.value.message


def test_the_last_name_takes_the_image_along(catalog: Catalog, add: Add) -> None:
    image_id = add("a", "x:1")
    assert steps(catalog, "x:1") == ["untag x:1", f"delete {image_id}"]


def test_one_of_several_names_goes_alone(catalog: Catalog, add: Add) -> None:
    add("a", "x:1", "x:2")
    assert steps(catalog, "x:1") == ["untag x:1"]


def test_by_id_all_names_of_one_repository_go(catalog: Catalog, add: Add) -> None:
    image_id = add("a", "x:1", f"x@{DIGEST}")
    assert steps(catalog, image_id[7:19]) == ["untag x:1", f"untag x@{DIGEST}", f"delete {image_id}"]


def test_by_id_several_repositories_must_be_forced(catalog: Catalog, add: Add) -> None:
    image_id = add("a", "x:1", "y:1")
    assert refusal(catalog, image_id) == (
        f"conflict: unable to delete {short(image_id)} (must be forced) - image is referenced in multiple repositories"
    )
    assert steps(catalog, image_id, force=True) == ["untag x:1", "untag y:1", f"delete {image_id}"]


def test_with_the_last_tag_of_a_repository_its_digests_go_without_an_event(catalog: Catalog, add: Add) -> None:
    image_id = add("a", "x:1", f"x@{DIGEST}", "y:1")
    found = plan(catalog, "x:1", False, True, Users())
    assert [(step.reference.familiar, step.silent) for step in found if isinstance(step, Untag)] == [
        ("x:1", False),
        (f"x@{DIGEST}", True),
    ]
    assert Delete(image_id) not in found


def test_a_name_that_a_container_was_made_from(catalog: Catalog, add: Add) -> None:
    image_id = add("a", "x:1")
    assert refusal(catalog, "x:1", stopped=image_id) == (
        f'conflict: unable to remove repository reference "x:1" (must force) - '
        f"container {CONTAINER[:12]} is using its referenced image {short(image_id)}"
    )
    assert steps(catalog, "x:1", force=True, stopped=image_id) == ["untag x:1", f"delete {image_id}"]
    assert steps(catalog, "x:1", force=True, running=image_id) == ["untag x:1"]


def test_an_id_that_a_container_was_made_from(catalog: Catalog, add: Add) -> None:
    image_id = add("a", "x:1")
    begin = f"conflict: unable to delete {short(image_id)}"
    assert refusal(catalog, image_id, stopped=image_id) == (
        f"{begin} (must be forced) - image is being used by stopped container {CONTAINER[:12]}"
    )
    for force in (False, True):
        assert refusal(catalog, image_id, force, running=image_id) == (
            f"{begin} (cannot be forced) - image is being used by running container {CONTAINER[:12]}"
        )
    assert steps(catalog, image_id, force=True, stopped=image_id) == ["untag x:1", f"delete {image_id}"]


def test_an_image_with_children_stays(catalog: Catalog, add: Add) -> None:
    parent = add("a", "x:1")
    add("b", "y:1", parent=parent)
    assert refusal(catalog, parent, force=True) == (
        f"conflict: unable to delete {short(parent)} (cannot be forced) - image has dependent child images"
    )
    assert steps(catalog, "x:1") == ["untag x:1"]


def test_parents_without_names_go_along_unless_kept(catalog: Catalog, add: Add) -> None:
    grand = add("g", "base:1")
    parent = add("p", parent=grand)
    child = add("c", "x:1", parent=parent)
    assert steps(catalog, "x:1") == ["untag x:1", f"delete {child}", f"delete {parent}"]
    assert steps(catalog, "x:1", prune=False) == ["untag x:1", f"delete {child}"]
    assert steps(catalog, "x:1", stopped=parent) == ["untag x:1", f"delete {child}"]


def test_what_is_not_there(catalog: Catalog) -> None:
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        steps(catalog, "nope")


@pytest.mark.parametrize(
    ("names", "single"),
    [
        ([], False),
        (["x:1"], True),
        (["x:1", "x:2"], False),
        (["x:1", "y:1"], False),
        (["x:1", f"x@{DIGEST}"], True),
        (["x:1", f"y@{DIGEST}"], False),
        ([f"x@{DIGEST}", f"y@{DIGEST}"], False),
    ],
)
def test_names_of_one_repository(names: list[str], single: bool) -> None:
    assert is_single([parse(name) for name in names]) is single


worlds = st.lists(
    st.tuples(st.integers(-1, 5), st.sets(st.sampled_from(["x:1", "x:2", "y:1", f"y@{DIGEST}"]), max_size=3)),
    min_size=1,
    max_size=6,
)


@given(worlds, st.integers(0, 5), st.booleans(), st.booleans(), st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)))
def test_no_plan_breaks_what_is_used(
    world: list[tuple[int, set[str]]], target: int, force: bool, prune: bool, used: set[int], running: set[int]
) -> None:
    catalog = Catalog()
    ids = [digest_of(str(number).encode()) for number in range(len(world))]
    for number, (parent, names) in enumerate(world):
        image = Image(id=ids[number], parent=ids[parent] if 0 <= parent < number else "")
        manifest = Descriptor(media_type="m", digest=ids[number], size=1)
        catalog.add(Stored(image=image, manifest=manifest, blobs=frozenset(), chains=()))
        for name in names:
            catalog.name(ReferenceRecord(reference=f"docker.io/library/{name}", image_id=ids[number]))
    of = {ids[number] for number in used | running if number < len(ids)}
    runs = frozenset(ids[number] for number in running if number < len(ids))
    try:
        found = plan(catalog, ids[target % len(ids)], force, prune, Users(dict.fromkeys(of, CONTAINER), runs))
    except Conflict:
        return
    deleted = [step.image_id for step in found if isinstance(step, Delete)]
    assert len(set(deleted)) == len(deleted)
    assert not runs & set(deleted)
    assert force or not of & set(deleted)
    for position, image_id in enumerate(deleted):
        assert catalog.children(image_id) <= set(deleted[:position])
    left = {(step.image_id, step.reference) for step in found if isinstance(step, Untag)}
    assert all((image_id, each) in left for image_id in deleted for each in catalog.references(image_id))


def test_what_a_build_holds_keeps_its_image_and_loses_its_names(catalog: Catalog, add: Add) -> None:
    parent = add("parent")
    image_id = add("a", "x:1", parent=parent)
    users = Users(leased=frozenset({parent, image_id}))
    for force in (False, True):
        with pytest.raises(Conflict, match="image is being used by a running build"):
            plan(catalog, image_id, force, True, users)
    assert [type(step) for step in plan(catalog, "x:1", False, True, users)] == [Untag]
    only_parent = Users(leased=frozenset({parent}))
    assert [type(step) for step in plan(catalog, "x:1", False, True, only_parent)] == [Untag, Delete]
