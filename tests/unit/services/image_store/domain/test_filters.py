from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.image_store.domain import filters
from services.image_store.domain.catalog import Catalog
from shared.digest import digest_of
from shared.errors import InvalidArgument, NotFound

Add = Callable[..., str]
SECOND = 10**9
DIGEST = "sha256:" + "1" * 64


@pytest.fixture
def world(add: Add) -> dict[str, str]:
    """a:1 (label), b:1 and b:2, an untagged one with a tagged parent, one with only a digest."""
    a = add("a", "a:1", created=10 * SECOND, labels={"k": "v", "only": ""}, chains=("x",))
    b = add("b", "b:1", "b:2", created=20 * SECOND, chains=("x", "y"))
    middle = add("middle", created=30 * SECOND)
    dangling = add("dangling", parent=middle, created=40 * SECOND)
    digested = add("digested", f"c@{DIGEST}", created=50 * SECOND)
    return {"a": a, "b": b, "middle": middle, "dangling": dangling, "digested": digested}


def chosen(catalog: Catalog, world: dict[str, str], everything: bool = False, **asked: Any) -> list[str]:
    names = {image_id: name for name, image_id in world.items()}
    wanted = {name: (value,) if isinstance(value, str) else value for name, value in asked.items()}
    return [names[image.id] for image in filters.select(catalog, wanted, everything, 100 * SECOND)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["digested", "dangling", "b", "a"]),
        ({"everything": True}, ["digested", "dangling", "middle", "b", "a"]),
        ({"dangling": "true"}, ["digested", "dangling"]),
        ({"dangling": "false"}, ["digested", "b", "a"]),
        ({"label": "k"}, ["a"]),
        ({"label": "k=v"}, ["a"]),
        ({"label": "k=w"}, []),
        ({"label": ("k=v", "only")}, ["a"]),
        ({"before": "b:1"}, ["a"]),
        ({"since": "b:1"}, ["digested", "dangling"]),
        ({"since": "a:1", "before": "b:1"}, []),
        ({"until": "75s"}, ["b", "a"]),
        ({"until": "20"}, ["a"]),
        ({"reference": "b"}, ["b"]),
        ({"reference": "*:1"}, ["b", "a"]),
        ({"reference": ("a", "c@*")}, ["digested", "a"]),
        ({"reference": "nothing"}, []),
    ],
)
def test_lists(catalog: Catalog, world: dict[str, str], asked: dict[str, Any], expected: list[str]) -> None:
    assert chosen(catalog, world, **asked) == expected


def test_a_list_shows_the_names_that_matched(catalog: Catalog, world: dict[str, str]) -> None:
    (image,) = filters.select(catalog, {"reference": ("b:2",)}, False, 0)
    assert image.repo_tags == ("b:2",)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"foo": ("x",)}, "invalid filter 'foo'"),
        ({"dangling": ("maybe",)}, "invalid filter 'dangling=[maybe]'"),
        ({"reference": ("[a",)}, "syntax error in pattern"),
        ({"until": ("1h", "2h")}, "more than one until filter"),
        ({"until": ("soon",)}, "'soon' is not a time"),
    ],
)
def test_filters_that_are_wrong(catalog: Catalog, asked: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        filters.select(catalog, asked, False, 0)
    assert message in refused.value.message


def test_an_image_to_compare_with_must_be_there(catalog: Catalog) -> None:
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        filters.select(catalog, {"before": ("nope",)}, False, 0)


def test_layers_of_several_images_are_shared(catalog: Catalog, world: dict[str, str], add: Add) -> None:
    """The steps of a build are no others: who is listed counts."""
    step = add("step", chains=("x", "z"))
    made = add("made", "made:1", parent=step, chains=("x", "z"))
    images, sizes = filters.select(catalog, {}, False, 0), {"x": 10, "y": 5, "z": 2}
    shared = filters.shared_sizes(catalog, images, sizes)
    assert [shared[each] for each in (world["a"], world["b"], world["dangling"], made)] == [10, 10, 0, 10]
    assert step not in shared
    assert filters.shared_sizes(catalog, [catalog.image(step), catalog.image(made)], sizes)[made] == 12


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {"dangling", "digested"}),
        ({"dangling": ("false",)}, {"a", "b", "dangling", "digested"}),
        ({"dangling": ("false",), "label": ("k",)}, {"a"}),
        ({"dangling": ("false",), "label!": ("k",)}, {"b", "dangling", "digested"}),
        ({"dangling": ("false",), "until": ("20",)}, {"a", "b"}),
    ],
)
def test_what_a_prune_looks_at(
    catalog: Catalog, world: dict[str, str], asked: dict[str, tuple[str, ...]], expected: set[str]
) -> None:
    names = {image_id: name for name, image_id in world.items()}
    assert {names[image.id] for image in filters.prunable(catalog, asked, 100 * SECOND)} == expected


def test_a_prune_knows_fewer_filters(catalog: Catalog) -> None:
    with pytest.raises(InvalidArgument, match="invalid filter 'before'"):
        filters.prunable(catalog, {"before": ("x",)}, 0)


def test_images_of_one_moment_have_a_fixed_order(catalog: Catalog, add: Add) -> None:
    ids = [add(str(number)) for number in range(9)]
    assert [image.id for image in filters.select(catalog, {}, True, 0)] == sorted(ids)
    assert digest_of(b"0") in ids
