from __future__ import annotations

import pytest

from services.builder.adapters.archive_index import index
from services.builder.adapters.spool import Spools
from services.builder.operations.context import Context, parsed_of, with_dockerfile
from shared.errors import InvalidArgument
from tests.support.builder_world import World
from tools import images


def context(spools: Spools, files: dict[str, bytes], name: str = "") -> Context:
    number = spools.new()
    spools.append(number, images.tar([images.entry(path, data) for path, data in files.items()]))
    return with_dockerfile(spools, index(spools, number, (1 << 20, 100, 100)), name)


def names(found: Context) -> list[str]:
    assert found.tree is not None
    return [path for path, node in found.tree.walk() if not node.is_directory]


def test_the_dockerfile(spools: Spools) -> None:
    assert context(spools, {"d/F": b"FROM a", "x": b""}, "./d/F").parsed.nodes[0].args == ("a",)
    assert context(spools, {"dockerfile": b"FROM b"}).parsed.nodes[0].args == ("b",)
    with pytest.raises(InvalidArgument, match="Cannot locate specified Dockerfile: x"):
        context(spools, {"y": b"FROM b"}, "x")
    with pytest.raises(InvalidArgument, match=r"the Dockerfile \(d\) cannot be empty"):
        parsed_of(b"", "d")


def test_what_the_client_had_to_send_all_the_same(spools: Spools) -> None:
    files = {"Dockerfile": b"FROM a", ".dockerignore": b"*\n!x\n", "x": b"", "y": b""}
    assert names(context(spools, files)) == ["x", "y"]
    assert names(context(spools, {**files, ".dockerignore": b"y\n"})) == [".dockerignore", "Dockerfile", "x", "y"]


def test_an_ignore_file_of_its_own(spools: Spools) -> None:
    files = {
        "F": b"FROM a",
        "F.dockerignore": b"d\n!d/keep\n*.md\n",
        "d/x": b"",
        "d/keep": b"",
        "a.md": b"",
        ".dockerignore": b"F",
    }
    assert names(context(spools, files, "F")) == [".dockerignore", "F", "F.dockerignore", "d/keep"]


async def test_an_empty_context(world: World) -> None:
    await world.send(b"")
    assert world.error == "Cannot locate specified Dockerfile: Dockerfile"


async def test_too_large(world: World) -> None:
    import msgspec

    world.kernel.settings = msgspec.structs.replace(world.kernel.settings, max_unpack_bytes=1000)
    await world.build("FROM busybox\n", {"x": b"x" * 2000})
    assert "the build context is larger than 1000 bytes" in world.error
