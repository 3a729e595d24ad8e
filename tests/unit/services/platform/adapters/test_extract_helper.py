"""The helper as a process: what it may do, what it answers. Its rules are tested with `copy_tree`."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from services.platform.adapters.extraction import _paths
from tools.images import entry, symlink, tar

_BOOT = (
    "import sys; sys.path[:0] = sys.argv[2:]; from services.platform.adapters.extract_helper import main; "
    "main(sys.argv[1])"
)


def run(root: Path, data: bytes, code: str = _BOOT, **more: Any) -> tuple[dict[str, str], str]:
    """The answer, and what was said on standard error."""
    held, top = os.open(root, os.O_PATH), os.open(root / "d", os.O_RDONLY)
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    options = {
        "namespace": namespace, "root": held, "top": top, "destination": "/d", "keeps_kinds": False, "owner": None,
        "limits": [1 << 20, 100, 100], **more,
    }  # fmt: skip
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", code, json.dumps(options), *_paths()],
            input=data, capture_output=True, pass_fds=(namespace, held, top), env={}, check=False,
        )  # fmt: skip
    finally:
        os.close(namespace)
        os.close(held)
        os.close(top)
    return json.loads(done.stdout or b"null"), done.stderr.decode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/d").mkdir(parents=True)
    return tmp_path / "root"


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_plain_and_compressed(root: Path, compress: Any) -> None:
    assert run(root, compress(tar([entry("f", b"data")])))[0] == {}
    assert (root / "d/f").read_bytes() == b"data"


def test_nothing_is_no_error_half_an_entry_is(root: Path) -> None:
    assert run(root, b"")[0] == {}
    answer, _ = run(root, tar([entry("f", b"x" * 2000)])[:1200])
    assert answer["kind"] == "invalid_argument"
    assert "unexpected EOF" in answer["error"]


def test_limits(root: Path) -> None:
    answer, _ = run(root, tar([entry("f", bytes(2 << 20))]))
    assert "max_unpack_bytes" in answer["error"]


def test_the_containers_root_is_all_there_is(root: Path) -> None:
    """A link of the container leads the archive to what it has there, not to the host's."""
    (root / "etc").mkdir()
    (root / "d/way").symlink_to("/etc")
    (root / "d/up").symlink_to("../../../../../../../../etc")
    data = tar([entry("way/a", b"1"), entry("up/b", b"2"), symlink("abs", "/etc"), entry("abs/c", b"3")])
    assert run(root, data)[0] == {}
    assert sorted(path.name for path in (root / "etc").iterdir()) == ["a", "b", "c"]
    assert not Path("/etc/a").exists()


def test_what_it_has_given_up(root: Path) -> None:
    code = _BOOT.replace("main(sys.argv[1])", "") + (
        "import os; from services.platform.adapters import extract_helper as helper; "
        "seen = lambda: [os.path.exists('/proc/self'), os.listdir('/'), os.getcwd()]; "
        "helper.extract = lambda wanted, chunks: os.write(2, str(seen()).encode()); main(sys.argv[1])"
    )
    answer, said = run(root, b"", code)
    assert (answer, said) == ({}, "[False, ['d'], '/']")


def test_a_full_or_read_only_disk_is_no_fault_of_the_archive(root: Path) -> None:
    code = _BOOT.replace("main(sys.argv[1])", "") + (
        "import errno, os; from services.platform.adapters import extract_helper as helper\n"
        "def fail(wanted, chunks): raise OSError(errno.{}, os.strerror(errno.{}))\n"
        "helper.extract = fail; main(sys.argv[1])"
    )
    for name, kind in (("ENOSPC", "resource_exhausted"), ("EROFS", "invalid_argument")):
        assert run(root, b"", code.replace("{}", name))[0]["kind"] == kind
