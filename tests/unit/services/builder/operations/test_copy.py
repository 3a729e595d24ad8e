from __future__ import annotations

import pytest

from tests.support.builder_world import World
from tools import images


async def test_files_folders_and_patterns(world: World) -> None:
    files = {"a.txt": b"a", "b.txt": b"b", "d/x": b"x", "d/e/y": b"y"}
    image = await world.built("FROM busybox\nWORKDIR /w\nCOPY a.txt b\nCOPY *.txt t/\nCOPY d d2\nADD . /all/\n", files)
    found = await world.files(image)
    assert {"w/b", "w/t/a.txt", "w/t/b.txt", "w/d2/x", "w/d2/e/y", "all/d/x", "all/Dockerfile"} <= found.keys()
    assert found["w/b"].mode == 0o644
    assert found["w/b"].mtime == 1767225600


async def test_owners_and_modes(world: World) -> None:
    text = (
        "FROM busybox\nCOPY --chown=alice:staff --chmod=4750 a /new/a\n"
        "COPY --from=busybox /file /kept\nCOPY a /link/a\n"
    )
    found = await world.files(await world.built(text, {"a": b"a"}))
    assert (found["new/a"].uid, found["new/a"].gid, found["new/a"].mode) == (1000, 50, 0o4750)
    assert (found["new"].uid, found["new"].mode) == (1000, 0o755)
    assert (found["kept"].uid, found["kept"].gid, found["kept"].mode) == (7, 8, 0o640)
    assert (found["usr/a"].uid, found["usr"].mode, found["link"].issym()) == (0, 0o711, True)


async def test_archives_are_taken_apart_by_add_alone(world: World) -> None:
    inner = images.tar([images.entry("in/f", b"f", mode=0o600, uid=9), images.symlink("in/l", "f")])
    found = await world.files(await world.built("FROM busybox\nADD a.tar /x\nCOPY a.tar /y/\n", {"a.tar": inner}))
    assert (found["x/in/f"].uid, found["x/in/f"].mode, found["x/in/l"].linkname) == (9, 0o600, "f")
    assert found["y/a.tar"].size == len(inner)


async def test_texts_in_the_dockerfile(world: World) -> None:
    image = await world.built("FROM busybox\nARG A=1\nCOPY <<one.txt <<'two.txt' /d/\n$A\none.txt\n$A\ntwo.txt\n")
    found = await world.files(image)
    assert {found["d/one.txt"].size, found["d/two.txt"].size} == {2, 3}
    assert found["d/one.txt"].mode == 0o644


async def test_a_layer_of_its_own(world: World) -> None:
    found = await world.files(await world.built("FROM busybox\nCOPY --link a /link/a\n", {"a": b"a"}))
    assert found["link"].isdir()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("COPY none /x", "COPY failed: file not found in build context or excluded by .dockerignore: stat none: "
                         "file does not exist"),
        ("ADD *.none /x/", "ADD failed: no source files were specified"),
        ("COPY a b /x",
         "When using COPY with more than one source file, the destination must be a directory and end with a /"),
        ("COPY --from=2 a /x", "invalid from flag value 2: index out of bounds"),
        ("COPY --from=0 a /x", "invalid from flag value 0: refers to current build stage"),
        ("COPY --from=busybox none /x", "COPY failed: stat none: file does not exist"),
        ("COPY --chown=nobody2 a /x", "unable to convert uid/gid chown string to host mapping: can't find uid for user "
                                      "nobody2: no such user: nobody2"),
        ("COPY --chmod=x a /x", "invalid chmod parameter: 'x'. it should be octal string and between 0 and 07777"),
        ("COPY d /file", "failed to copy files: cannot copy to non-directory: /file"),
    ],
)  # fmt: skip
async def test_what_is_refused(world: World, line: str, why: str) -> None:
    await world.build(f"FROM busybox\n{line}\n", {"a": b"a", "b": b"b", "d/x": b"x"})
    assert world.error == why


async def test_what_tells_copies_apart(world: World) -> None:
    text = "FROM busybox\nCOPY . /c/\n"
    await world.built(text, {"a": b"a"}, tags=("one",))
    await world.built(text, {"a": b"a"})
    assert "Using cache" in world.text
    await world.built(text, {"b": b"a"})
    assert "Using cache" not in world.text


async def test_what_is_left_out(world: World) -> None:
    text = "FROM busybox\nCOPY --exclude=*.md --exclude=sub d /d\nCOPY --exclude=*.md a.md b /e/\n"
    files = {"d/x": b"", "d/y.md": b"", "d/sub/z": b"", "a.md": b"", "b": b""}
    found = await world.files(await world.built(text, files))
    assert {name for name in found if name.startswith(("d/", "e/"))} == {"d/x", "e/b"}
    await world.build("FROM busybox\nCOPY --parents d/x /\n", files)
    assert world.error == "COPY --parents is not supported by this engine"
