"""Against the kernel: what overlayfs merges, compared file by file, is what the comparison tells without a mount."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.image_store.adapters.changes_overlay import changes
from services.image_store.domain.differences import ADDED, DELETED, MODIFIED, complete, different
from shared import hostmounts


def renew(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()
    (path / "b").touch()


NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
ACTIONS: dict[str, Callable[[Path], object]] = {
    "write": lambda path: path.write_text("x" * (1 + len(path.parts))),
    "mkdir": lambda path: path.mkdir(parents=True),
    "remove": lambda path: shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(),
    "link": lambda path: path.symlink_to("a"),
    "chmod": lambda path: path.chmod(0o700),
    "touch": lambda path: os.utime(path, (1, 1)),
    "renew": lambda path: renew(path),
    "device": lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3)),
}
STEPS = st.lists(st.tuples(st.sampled_from(sorted(ACTIONS)), PATHS), max_size=12)


@contextmanager
def overlay(target: Path, lowers: list[Path], upper: Path | None = None) -> Iterator[Path]:
    target.mkdir(exist_ok=True)
    data = f"lowerdir={':'.join(map(str, lowers))},index=off,redirect_dir=off,metacopy=off"
    if upper is not None:
        (upper.parent / f"{upper.name}.work").mkdir()
        data += f",upperdir={upper},workdir={upper.parent / f'{upper.name}.work'}"
    hostmounts.mount("overlay", target, "overlay", 0, data)
    try:
        yield target
    finally:
        hostmounts.unmount(target)


def tree(top: Path) -> dict[str, os.stat_result]:
    found = {}
    for folder, directories, files in os.walk(top):
        for name in (*directories, *files):
            path = Path(folder, name)
            found[f"/{path.relative_to(top)}"] = path.lstat()
    return found


def expected(old: dict[str, os.stat_result], new: dict[str, os.stat_result]) -> dict[str, int]:
    """dockerd's rules, from two whole trees."""
    kinds = {}
    for path, status in new.items():
        if path not in old:
            kinds[path] = ADDED
        elif different(old[path], status):
            kinds[path] = MODIFIED
    for path in old.keys() - new.keys():
        parent = path.rpartition("/")[0]
        if not parent or (parent in new and stat.S_ISDIR(new[parent].st_mode)):
            kinds[path] = DELETED
    return {change.path: change.kind for change in complete(kinds)}


def act(top: Path, steps: list[tuple[str, str]]) -> None:
    for action, path in steps:
        with suppress(OSError):
            ACTIONS[action](top / path)


@given(first=STEPS, second=STEPS, third=STEPS)
@settings(max_examples=60, deadline=None)
def test_as_the_kernel_merges(
    first: list[tuple[str, str]], second: list[tuple[str, str]], third: list[tuple[str, str]]
) -> None:
    with TemporaryDirectory(prefix="shoal") as name:
        top = Path(name)
        for each in ("0", "1", "2", "upper"):
            (top / each).mkdir()
        act(top / "0", [("mkdir", "a/b"), ("write", "a/c"), ("mkdir", "b"), *first])
        with overlay(top / "m1", [top / "0"], top / "1") as merged:
            act(merged, second)
        with overlay(top / "m2", [top / "1", top / "0"], top / "upper") as merged:
            act(merged, third)
            new = tree(merged)
        with overlay(top / "m3", [top / "1", top / "0", top / "2"]) as merged:
            old = tree(merged)
        found = {each.path: each.kind for each in changes(top / "upper", [top / "1", top / "0", top / "2"])}
        assert found == expected(old, new)


def test_a_capability_is_a_change(tmp_path: Path) -> None:
    for name in ("upper", "lower"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").touch()
        os.utime(tmp_path / name / "f", (1, 1))
    assert changes(tmp_path / "upper", [tmp_path / "lower"]) == ()
    os.setxattr(tmp_path / "upper/f", "security.capability", b"\1\0\0\2\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
    assert [change.kind for change in changes(tmp_path / "upper", [tmp_path / "lower"])] == [MODIFIED]


def test_links_lead_nowhere(tmp_path: Path) -> None:
    for name in ("upper", "lower", "outside"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside/secret").touch()
    (tmp_path / "lower/way").symlink_to(tmp_path / "outside")
    (tmp_path / "upper/way").mkdir()
    (tmp_path / "upper/way/secret").touch()
    assert [(change.path, change.kind) for change in changes(tmp_path / "upper", [tmp_path / "lower"])] == [
        ("/way", MODIFIED),
        ("/way/secret", ADDED),
    ]


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    (tmp_path / "upper").mkdir()
    held = os.open(tmp_path / "upper", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=held)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=held)
        os.close(held)
        held = inner
    os.close(held)
    with pytest.raises(OSError, match="too long"):
        changes(tmp_path / "upper", [])
