from __future__ import annotations

from services.image_store.domain.graph_driver import graph_driver, of_snapshot
from shared.contracts.common import Mount


def test_the_names_of_dockers_overlay2() -> None:
    assert graph_driver(()) == {}
    assert graph_driver(("/s/a",)) == {"MergedDir": "/s/a/merged", "UpperDir": "/s/a/diff", "WorkDir": "/s/a/work"}
    assert graph_driver(("/s/a", "/s/b", "/s/c"))["LowerDir"] == "/s/b/diff:/s/c/diff"


def test_of_a_snapshot() -> None:
    options = ("lowerdir=/l/b:/l/a:/init", "upperdir=/s/c/upper", "workdir=/s/c/work", "index=off")
    assert of_snapshot((Mount(type="overlay", source="overlay", options=options),)) == {
        "LowerDir": "/l/b:/l/a:/init", "MergedDir": "/s/c/merged", "UpperDir": "/s/c/upper", "WorkDir": "/s/c/work",
    }  # fmt: skip
