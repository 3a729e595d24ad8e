from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from services.image_store.ports import Unpacked
from shared.errors import InvalidArgument
from tools.images import directory, entry, symlink, tar

Unpack = Callable[..., Awaitable[tuple[Path, Unpacked]]]
Entries = list[tuple[tarfile.TarInfo, bytes]]
# struct vfs_cap_data, version 2, with CAP_NET_BIND_SERVICE permitted and effective (linux/capability.h)
BIND_CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, kind=tarfile.LNKTYPE, link=target)


def whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


async def test_files_with_all_their_attributes(unpack: Unpack) -> None:
    info, data = entry("d/f", b"content", mode=0o4711, uid=1000, gid=50)
    info.mtime = 1234.000000005
    tree, told = await unpack(tar([directory("d", 0o2750), (info, data)]))
    status = (tree / "d/f").stat()
    assert (tree / "d/f").read_bytes() == b"content"
    assert (status.st_mode, status.st_uid, status.st_gid) == (stat.S_IFREG | 0o4711, 1000, 50)
    assert status.st_mtime_ns // 1000 == 1234000000
    assert stat.S_IMODE((tree / "d").stat().st_mode) == 0o2750
    assert (told.size, told.implied) == (7, ("",))


async def test_directories_keep_their_times_whatever_is_put_into_them(unpack: Unpack) -> None:
    tree, _ = await unpack(tar([directory("d"), directory("d/e"), entry("d/e/f"), entry("d/g")]))
    assert {(tree / name).stat().st_mtime for name in ("d", "d/e")} == {1767225600.0}


async def test_the_root_itself_may_be_described(unpack: Unpack) -> None:
    info, _ = directory("./", 0o1711)
    info.uid, info.gid = 3, 4
    tree, told = await unpack(tar([(info, b"")]))
    status = tree.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o1711, 3, 4)
    assert told.implied == ()


async def test_symlinks_say_what_they_say_and_count_as_docker_counts(unpack: Unpack) -> None:
    info, _ = symlink("a", "../../etc/passwd")
    info.uid = 7
    tree, told = await unpack(tar([(info, b"")]))
    assert os.readlink(tree / "a") == "../../etc/passwd"
    assert (tree / "a").lstat().st_uid == 7
    assert told.size == len("../../etc/passwd")


async def test_hard_links_are_one_file(unpack: Unpack) -> None:
    tree, told = await unpack(tar([entry("d/a", b"xy"), link("b", "/d/a"), link("c", "./d/../d/a")]))
    assert len({(tree / name).stat().st_ino for name in ("d/a", "b", "c")}) == 1
    assert told.size == 2


async def test_devices_and_pipes(unpack: Unpack) -> None:
    tree, _ = await unpack(
        tar(
            [
                entry("null", kind=tarfile.CHRTYPE, device=(1, 3), mode=0o666),
                entry("disk", kind=tarfile.BLKTYPE, device=(8, 0), mode=0o660, gid=6),
                entry("pipe", kind=tarfile.FIFOTYPE, mode=0o600),
            ]
        )
    )
    null, disk, pipe = ((tree / name).lstat() for name in ("null", "disk", "pipe"))
    assert (null.st_mode, null.st_rdev) == (stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert (disk.st_mode, disk.st_rdev, disk.st_gid) == (stat.S_IFBLK | 0o660, os.makedev(8, 0), 6)
    assert pipe.st_mode == stat.S_IFIFO | 0o600


async def test_capabilities_and_users_attributes_are_kept_privileged_ones_are_not(unpack: Unpack) -> None:
    given = {
        "SCHILY.xattr.user.a": "b",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.user.overlay.opaque": "y",
    }
    info, _ = entry("f", pax=given)
    raw = tar([(info, b""), (directory("d")[0], b"")])
    tree, told = await unpack(raw_pax({b"SCHILY.xattr.security.capability": BIND_CAPABILITY}) + tar([entry("ping")]))
    assert os.getxattr(tree / "ping", "security.capability") == BIND_CAPABILITY
    tree, told = await unpack(raw)
    assert os.listxattr(tree / "f") == ["user.a"]
    assert told.opaque == ()


def raw_pax(values: dict[bytes, bytes]) -> bytes:
    """A pax header with bytes that are no text, which tarfile cannot write."""
    body = b""
    for key, value in values.items():
        record = b" " + key + b"=" + value + b"\n"
        body += str(len(record) + len(str(len(record) + 2))).encode() + record
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(body)
    return info.tobuf(tarfile.USTAR_FORMAT) + body.ljust((len(body) + 511) // 512 * 512, b"\0")


async def test_whiteouts_become_what_overlayfs_knows(unpack: Unpack) -> None:
    tree, told = await unpack(
        tar([directory("d"), entry("d/.wh.gone"), entry("e/.wh..wh..opq"), entry("e/.wh..wh.plnk")])
    )
    assert whiteout(tree / "d/gone")
    assert told.opaque == ("e",)
    assert sorted(os.listdir(tree / "e")) == []


@pytest.mark.parametrize("first", ["whiteout", "directory"])
async def test_a_directory_made_anew_hides_the_one_below(unpack: Unpack, first: str) -> None:
    entries = [entry(".wh.d"), directory("d"), entry("d/new")]
    if first == "directory":
        entries = [entries[1], entries[2], entries[0]]
    tree, told = await unpack(tar(entries))
    assert (tree / "d/new").is_file()
    assert told.opaque == ("d",)


async def test_a_file_of_the_layer_stays_whatever_its_whiteout_says(unpack: Unpack) -> None:
    for entries in ([entry(".wh.f"), entry("f", b"x")], [entry("f", b"x"), entry(".wh.f")]):
        tree, _ = await unpack(tar(entries))
        assert (tree / "f").read_bytes() == b"x"


async def test_later_entries_replace_earlier_ones(unpack: Unpack) -> None:
    tree, told = await unpack(
        tar(
            [
                entry("a", b"old"), entry("a", b"newer"),
                directory("d"), entry("d/x/y"), entry("d", b"file"),
                entry("e"), directory("e", 0o700),
                symlink("s", "a"), entry("s", b"no link"),
                directory("k"), entry("k/stays"), directory("k", 0o711),
            ]
        )
    )  # fmt: skip
    assert (tree / "a").read_bytes() == b"newer"
    assert (tree / "d").read_bytes() == b"file"
    assert (tree / "e").is_dir()
    assert not (tree / "s").is_symlink()
    assert (tree / "k/stays").exists()
    assert stat.S_IMODE((tree / "k").stat().st_mode) == 0o711
    assert told.size == len("newer" + "file" + "no link")


async def test_links_among_parents_are_followed_inside_the_tree(unpack: Unpack) -> None:
    tree, _ = await unpack(
        tar(
            [
                directory("usr/lib"),
                symlink("lib", "/usr/lib"),
                entry("lib/a"),
                symlink("x", "../../../usr"),
                entry("x/b"),
            ]
        )
    )
    assert (tree / "usr/lib/a").is_file()
    assert (tree / "usr/b").is_file()


async def test_what_no_entry_described_is_told(unpack: Unpack) -> None:
    tree, told = await unpack(tar([entry("a/b/c"), directory("a")]))
    assert told.implied == ("", "a/b")
    assert stat.S_IMODE((tree / "a/b").stat().st_mode) == 0o755


async def test_holes_stay_holes(unpack: Unpack, tmp_path: Path) -> None:
    source = tmp_path / "sparse"
    with open(source, "wb") as file:
        file.seek(50 << 20)
        file.write(b"end")
    for form in ("gnu", "pax"):
        packed = await pack(source, form)
        tree, told = await unpack(packed)
        status = (tree / "sparse").stat()
        assert status.st_size == told.size == (50 << 20) + 3
        assert status.st_blocks * 512 < 1 << 20
        assert hashlib.sha256((tree / "sparse").read_bytes()).digest() == hashlib.sha256(source.read_bytes()).digest()


async def pack(source: Path, form: str) -> bytes:
    """GNU tar's sparse forms, old and pax 1.0."""
    import asyncio

    process = await asyncio.create_subprocess_exec(
        "tar",
        "--sparse",
        f"--format={form}",
        "-C",
        str(source.parent),
        "-c",
        source.name,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return out


HOSTILE: dict[str, Entries] = {
    "up": [entry("../escaped", b"x")],
    "up later": [directory("a"), entry("a/../../escaped", b"x")],
    "hard link outside": [link("a", "../../../../etc/passwd")],
    "hard link to what is not there": [link("a", "etc/passwd")],
    "hard link through a link": [symlink("out", "/etc"), link("a", "out/passwd")],
    "hard link to a directory": [directory("d"), link("a", "d")],
    "file under a file": [entry("f"), entry("f/g")],
    "file under a pipe": [entry("p", kind=tarfile.FIFOTYPE), entry("p/g")],
    "circle of links": [symlink("a", "b"), symlink("b", "a"), entry("a/f")],
    "through a link to the host's": [symlink("out", "/etc"), entry("out/escaped", b"x")],
    "through a link to proc": [symlink("out", "/proc/self/cwd"), entry("out/escaped", b"x")],
    "unknown kind": [entry("x", kind=b"Z")],
    "owner out of range": [entry("x", uid=1 << 33)],
    "file in place of the root": [entry("./", b"", kind=tarfile.LNKTYPE, link="a")],
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_entries_are_refused(unpack: Unpack, name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument):
        await unpack(tar(HOSTILE[name]))
    assert not list(tmp_path.rglob("escaped"))


CONTAINED: dict[str, Entries] = {
    "absolute name": [entry("/etc/escaped", b"x")],
    "link to the host, then through it": [directory("etc"), symlink("out", "/etc"), entry("out/escaped", b"x")],
    "link upwards, then through it": [directory("etc"), symlink("out", "../../../etc"), entry("out/escaped", b"x")],
    "device of the host's disk": [entry("etc/escaped", kind=tarfile.BLKTYPE, device=(254, 0))],
}


@pytest.mark.parametrize("name", CONTAINED)
async def test_what_points_outside_stays_inside(unpack: Unpack, name: str) -> None:
    tree, _ = await unpack(tar(CONTAINED[name]))
    assert len(list(tree.rglob("escaped"))) == 1
    assert not Path("/etc/escaped").exists()


async def test_a_sparse_file_beyond_the_limit(unpack: Unpack) -> None:
    bomb = raw_pax(
        {b"GNU.sparse.map": b"0,1", b"GNU.sparse.size": str(1 << 40).encode(), b"GNU.sparse.numblocks": b"1"}
    ) + tar([entry("f", b"x")])
    with pytest.raises(InvalidArgument, match="max_unpack_bytes"):
        await unpack(bomb)


async def test_too_many_entries(unpack: Unpack) -> None:
    with pytest.raises(InvalidArgument, match="max_unpack_entries"):
        await unpack(tar([entry(str(number)) for number in range(2001)]))


async def test_names_of_any_bytes_survive(unpack: Unpack) -> None:
    tree, _ = await unpack(tar([entry("ä\udcff", b"x"), symlink("s", "\udcfe")]))
    assert sorted(os.listdir(os.fsencode(tree))) == [b"s", "ä".encode() + b"\xff"]
    assert os.readlink(os.fsencode(tree / "s")) == b"\xfe"
