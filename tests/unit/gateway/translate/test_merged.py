from __future__ import annotations

from gateway.translate.merged import merged
from shared.contracts.common import Descriptor, Platform
from shared.contracts.image_store import Image, ListReply, PlatformImage


def image(id: str, *names: str, created: int = 0) -> Image:
    return Image(id=id, repo_tags=names, created_ns=created)


def test_each_image_is_there_once_with_all_its_names() -> None:
    here = ListReply(images=(image("b", "b:1", created=2), image("a", created=1)), shared_sizes={"a": 1, "b": 2})
    there = ListReply(images=(image("c", "c:1", created=3), image("b", "b:1", "b:2")), shared_sizes={"b": 9, "c": 3})
    both = merged([here, there])
    assert [(one.id, one.repo_tags) for one in both.images] == [("c", ("c:1",)), ("b", ("b:1", "b:2")), ("a", ())]
    assert both.shared_sizes == {"a": 1, "b": 2, "c": 3}
    assert merged([here]) is here


def test_a_name_that_means_another_image_here_is_not_shown_of_others() -> None:
    both = merged([ListReply(images=(image("new", "app:1"),)), ListReply(images=(image("old", "app:1", "app:0"),))])
    assert {one.id: one.repo_tags for one in both.images} == {"new": ("app:1",), "old": ("app:0",)}


def test_platforms_are_those_of_any_host() -> None:
    parts = [
        PlatformImage(image_id=id, platform=Platform(), manifest=Descriptor(media_type="m", digest=id, size=1))
        for id in ("x", "y")
    ]
    told = [ListReply(images=(Image(id="x", manifests=(part,)),)) for part in parts]
    assert {one.image_id for one in merged(told).images[0].manifests} == {"x", "y"}
