from __future__ import annotations

from services.image_store.domain.graph_driver import graph_driver


def test_the_names_of_dockers_overlay2() -> None:
    assert graph_driver(()) == {}
    assert graph_driver(("/s/a",)) == {"MergedDir": "/s/a/merged", "UpperDir": "/s/a/diff", "WorkDir": "/s/a/work"}
    assert graph_driver(("/s/a", "/s/b", "/s/c"))["LowerDir"] == "/s/b/diff:/s/c/diff"
