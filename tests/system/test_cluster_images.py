"""Hosts of a cluster give each other their images, and each store stays sound."""

from __future__ import annotations

import json
import os
import sys
import tarfile
from collections.abc import Iterator

import pytest

from tests.support.cluster import Hosts, engines
from tests.support.platforms import several_platforms
from tests.support.shoal import CHECKOUT
from tools import images

pytestmark = pytest.mark.shoal_only

NOWHERE = "127.0.0.1:1"
"""A registry that is not there."""


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with engines(tmp_path_factory.mktemp("lab"), 3) as made:
        made.init()
        made.join(2)
        made.join(3)
        yield made


def call(hosts: Hosts, number: int, operation: str, request: dict[str, object]) -> dict[str, object]:
    """An endpoint of the host's image store."""
    program = ("env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-P", "-m", "tests.support.store_call")
    answer: dict[str, object] = json.loads(hosts.ok(number, *program, operation, json.dumps(request)))
    return answer


def load(hosts: Hosts, name: str, *numbers: int) -> images.Image:
    """An image with a big file, on some of the hosts."""
    base = images.busybox()
    big = images.tar([images.entry("big", os.urandom(20 << 20))])
    made = images.Image((*base.layers, big), {"Cmd": ["sha256sum", "/big"]}, (name,))
    path = hosts.lab.plan.folder / "loaded.tar"
    path.write_bytes(images.docker_archive(made))
    for number in numbers:
        hosts.docker(number, "load", "-i", str(path))
    path.unlink()
    return made


def test_an_image_comes_from_the_hosts_that_have_it(hosts: Hosts) -> None:
    """Nobody says which these are; one of them may be down."""
    for name, down in (("first:1", False), ("second:1", True)):
        made = load(hosts, name, 1, 2)
        manifest = call(hosts, 1, "resolve", {"reference": name})["descriptor"]
        if down:
            hosts.shoal_ok(2, "down")
        try:
            assert call(hosts, 3, "fetch", {"manifest": manifest, "names": [name]}) == {"image_id": made.id}
        finally:
            if down:
                hosts.shoal_ok(2, "up")
        assert hosts.docker(3, "inspect", "-f", "{{.Id}} {{.RepoTags}}", name) == f"{made.id} [{name}]"
    assert hosts.docker(3, "run", "--rm", "--label", "shoal.node=node3", "second:1").endswith("/big")
    said = json.loads(hosts.shoal_ok(3, "fsck", "--json"))
    assert (said["sound"], said["online"], said["names"], said["checked"]["findings"]) == (True, True, True, [])


def test_an_image_that_no_host_has(hosts: Hosts) -> None:
    manifest = {"media_type": "x", "digest": f"sha256:{0:064}", "size": 2}
    with pytest.raises(AssertionError, match="no other image store gives sha256:000"):
        call(hosts, 3, "fetch", {"manifest": manifest})


def test_a_name_is_saved_with_all_platforms_by_a_host_that_has_none(hosts: Hosts) -> None:
    layer = images.tar([images.entry("file", b"content")])
    made = [images.Image((layer,), {}, (), each) for each in ("amd64", "arm64")]
    path = hosts.lab.plan.folder / "both.tar"
    path.write_bytes(several_platforms("both:1", *made))
    hosts.docker(1, "load", "-i", str(path))
    hosts.docker(3, "save", "-o", str(path), "both:1")
    with tarfile.open(path) as saved:
        names = {name.rpartition("/")[2] for name in saved.getnames()}
    assert {image.id[7:] for image in made} <= names


def test_a_build_takes_from_other_hosts_what_only_they_have(hosts: Hosts) -> None:
    """To stand on, to copy from, to mount, and steps to take over."""
    load(hosts, f"{NOWHERE}/base:1", 1)
    load(hosts, f"{NOWHERE}/tool:1", 2)
    folder = hosts.lab.plan.folder / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        f"FROM {NOWHERE}/base:1\nCOPY --from={NOWHERE}/tool:1 /big /copied\n"
        f"RUN --mount=from={NOWHERE}/tool:1,target=/m cmp /m/big /copied && ! cmp /big /copied\n"
    )
    build = ("env", "DOCKER_BUILDKIT=0", "docker", "build", str(folder))
    hosts.ok(3, *build, "-t", "built:1")
    assert hosts.docker(3, "run", "--rm", "--label", "shoal.node=node3", "built:1").endswith("/big")
    assert call(hosts, 3, "resolve", {"reference": f"{NOWHERE}/tool:1"})["repo_tags"] == [f"{NOWHERE}/tool:1"]

    assert hosts.ok(1, *build, "--cache-from", "built:1").count("Using cache") == 2
    assert "connection refused" in hosts.run(1, *build, "--pull").stderr
