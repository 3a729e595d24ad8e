from __future__ import annotations

from random import Random

import pytest

from tools.docker_api.hints import ABSENT, FILTERS, GUARDED, HINTS, World
from tools.docker_api.swagger import VERSIONS, load

WORLD = World("/scratch", names={"containers": ["c1"], "images": [], "networks": ["n1"], "volumes": ["v1"], "exec": []})


@pytest.mark.parametrize("name", HINTS)
def test_every_hint_makes_values_again_and_again(name: str) -> None:
    made = [HINTS[name](Random(seed), WORLD) for seed in range(20)]
    assert made == [HINTS[name](Random(seed), WORLD) for seed in range(20)]


def test_names_are_mostly_of_what_is_there() -> None:
    random = Random(1)
    names = [WORLD.name(random, "containers") for _ in range(200)]
    assert 140 < names.count("c1") < 200
    assert set(names) <= {"c1", *ABSENT}
    assert WORLD.name(random, "images") in ABSENT


def test_nothing_of_the_host_but_the_scratch_folder_is_mounted() -> None:
    for seed in range(300):
        sources = [bind.split(":")[0] for bind in HINTS["binds"](Random(seed), WORLD)]
        sources.append(HINTS["source"](Random(seed), WORLD))
        assert all(not source.startswith("/") or source.startswith("/scratch") for source in sources)
    assert {"binds", "source", "cgroupparent", "devices"} <= GUARDED


def test_filters_belong_to_operations() -> None:
    assert set(FILTERS) <= set(load(VERSIONS[-1]).operations)
