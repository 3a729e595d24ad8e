"""Small Dockerfiles, one for each instruction and corner, that dockerd 20.10 can build as well.

`differs`: why the two results are not equal, by what differs: a field of the configuration (`Config.X`), `history`, a
path of the file tree, `error`.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from tools.images import directory, entry, symlink, tar

FOLDER = Path(__file__).with_name("build_corpus_files")
Entry = tuple[tarfile.TarInfo, bytes]


@dataclass(frozen=True)
class Case:
    """A build: what is sent, and the query. `fails`: with an error."""

    name: str
    dockerfile: str
    files: tuple[Entry, ...] = ()
    query: Mapping[str, str] = field(default_factory=dict)
    fails: bool = False
    differs: Mapping[str, str] = field(default_factory=dict)

    @property
    def context(self) -> bytes:
        own = [] if any(info.name == "Dockerfile" for info, _ in self.files) else [
            entry("Dockerfile", self.dockerfile.encode())
        ]  # fmt: skip
        return tar([*own, *self.files])

    @property
    def path(self) -> str:
        return "/build?" + urlencode({"t": f"corpus-{self.name}", "rm": "1", "forcerm": "1", **self.query})


def _gz(entries: list[Entry]) -> bytes:
    return gzip.compress(tar(entries), mtime=0)


_INNER = [
    directory("in", 0o750),
    entry("in/f", b"f", mode=0o604, uid=7, gid=8),
    symlink("in/l", "f"),
    entry("in/h", kind=tarfile.LNKTYPE, link="in/f", mode=0o604, uid=7, gid=8),
    entry("top", b"top", mode=0o755, uid=1000),
]
_TREE = (
    directory("d", 0o711),
    entry("d/a", b"a", mode=0o640, uid=5, gid=6),
    entry("d/x.txt", b"x"),
    directory("d/sub", 0o700),
    entry("d/sub/b", b"bb", mode=0o755),
    symlink("d/link", "sub/b"),
    symlink("d/dir", "sub"),
    entry("d/hard", kind=tarfile.LNKTYPE, link="d/a", mode=0o640, uid=5, gid=6),
    entry("y.txt", b"y", mode=0o600),
    entry("z.md", b"z"),
    symlink("outside", "/etc/passwd"),
    symlink("to-y", "y.txt"),
    entry("name with blank", b"blank"),
    entry("set", b"#!/bin/sh\n", mode=0o6755),
    directory("empty", 0o1777),
)


def _files(*names: str) -> tuple[Entry, ...]:
    return tuple(
        each for each in _TREE if any(each[0].name == name or each[0].name.startswith(f"{name}/") for name in names)
    )


def _case(name: str, *names: str, **more: object) -> Case:
    """With those files of the common tree."""
    file = FOLDER / f"{name}.Dockerfile"
    dockerfile = file.read_text() if file.exists() else ""
    return Case(name, dockerfile, _files(*names), **more)  # type: ignore[arg-type]


HEALTH = {"history": "the health check of 20.10 has no start interval"}
CHOWN = {"history": "20.10 leaves out the blank between --chown and the sources; 28 does not"}
SLASH = {"Config.WorkingDir": "20.10 keeps a slash at the end; 28 does not", "history": "the same"}
LINE = {"error": "20.10 says 'error line 2', 28 'error on line 2'"}
PATHS = {"error": "20.10 tells paths of its own folders"}
RUNTIME = {"error": "20.10 passes on its runtime's words"}
PORT = {"error": "20.10 begins with a capital letter, 28 does not"}
CASES: tuple[Case, ...] = (
    # Instructions that touch no file.
    _case("env"),
    _case("env-modifiers"),
    _case("label", query={'labels': '{"z":"9","k":"$A"}'}),
    _case("maintainer"),
    _case("cmd-shell"),
    _case("cmd-exec"),
    _case("cmd-empty"),
    _case("entrypoint"),
    _case("entrypoint-shell-then-cmd"),
    _case("entrypoint-keeps-own-cmd"),
    _case("expose"),
    _case("user-and-workdir", differs=SLASH),
    _case("workdir-existing"),
    _case("volume"),
    _case("volume-discards-changes"),
    _case("stopsignal"),
    _case("stopsignal-number"),
    _case("healthcheck", differs=HEALTH),
    _case("healthcheck-exec-and-none", differs=HEALTH),
    _case("shell"),
    _case("onbuild"),
    _case("onbuild-triggered", "y.txt"),
    _case("scratch", "y.txt"),
    _case("scratch-metadata"),
    # ARG.
    _case("arg", query={'buildargs': '{"A":"given","C":"other"}'}),
    _case("arg-before-from"),
    _case("arg-predefined", query={'buildargs': '{"HTTP_PROXY":"http://p","no_proxy":"x"}'}),
    _case("arg-unused", query={'buildargs': '{"NOBODY":"1"}'}),
    # COPY and ADD.
    _case("copy-file", "y.txt", "z.md"),
    _case("copy-folder", "d"),
    _case("copy-everything", "d", "y.txt", "empty", "to-y"),
    _case("copy-wildcards", "d", "y.txt"),
    _case("copy-links", "d", "y.txt", "to-y"),
    _case("copy-link-outside", "outside", fails=True),
    _case("copy-json-form", "name with blank"),
    _case("copy-chown", "d", "y.txt", differs=CHOWN),
    _case("copy-set-bits", "set", "empty", differs=CHOWN),
    _case("copy-through-link-in-image", "y.txt", "d"),
    _case("copy-above-the-context", "y.txt", fails=True),
    _case("copy-onto-a-file", "d", fails=True, differs=PATHS),
    _case("copy-over", "d"),
    _case("copy-expansion", "y.txt"),
    _case("copy-from-stage", differs=CHOWN),
    _case("copy-from-image"),
    _case("add-archive", differs=CHOWN),
    _case("add-archive-over-links"),
    _case("add-archive-onto-a-file", fails=True, differs=PATHS),
    _case("add-compressed"),
    # RUN.
    _case("run"),
    _case("run-continuation"),
    _case("run-user-and-env"),
    _case("run-replaces-folder"),
    _case("run-fails", fails=True),
    _case("run-without-image", fails=True, differs=RUNTIME),
    _case("run-user-owns-what-it-makes", "y.txt"),
    _case("run-makes-special-files"),
    # The language.
    _case("escape", fails=True),
    _case("escape-works"),
    _case("lower-case"),
    _case("syntax-directive"),
    _case("target", query={'target': 'A'}),
    _case("stage-by-name-as-base"),
    _case("dockerignore"),
    _case("dockerignore-negation"),
    _case("dockerignore-globs"),
    _case("carriage-returns"),
    _case("names-of-other-alphabets"),
    _case("dockerfile-param", query={'dockerfile': 'sub/My.file'}),
    _case("unknown-instruction", fails=True, differs=LINE),
    _case("missing-source", fails=True),
    _case("several-to-a-file", "y.txt", "z.md", fails=True),
    _case("bad-port", fails=True, differs=PORT),
    _case("stage-named-twice", fails=True),
    _case("self-reference", fails=True),
)  # fmt: skip

_EXTRA: Mapping[str, tuple[Entry, ...]] = {
    "add-archive": (entry("a.tar", tar(_INNER)), entry("a.tgz", _gz(_INNER)), entry("no.tar", b"no archive")),
    "add-archive-over-links": (entry("a.tar", tar([entry("in/f", b"f"), directory("etc"), entry("etc/new", b"n")])),),
    "add-archive-onto-a-file": (entry("a.tar", tar(_INNER)),),
    "add-compressed": (
        entry("a.tbz", bz2.compress(tar(_INNER))),
        entry("a.txz", lzma.compress(tar(_INNER))),
        entry("one.gz", gzip.compress(b"no archive", mtime=0)),
    ),
    "dockerignore-negation": (
        entry(".dockerignore", b"# all but\n*\n!d\nd/sub\n!d/sub/b\n!z.md\n"),
        *_files("d", "y.txt", "z.md"),
    ),
    "dockerignore-globs": (entry(".dockerignore", b"**/*.txt\n/z.md\nd/sub/\n"), *_files("d", "y.txt", "z.md")),
    "names-of-other-alphabets": (entry("\u00f6.txt", b"1"),),
    "dockerignore": (entry(".dockerignore", b"*.md\nDockerfile\n"), *_files("y.txt", "z.md")),
    "dockerfile-param": (entry("sub/My.file", b"FROM busybox\nCOPY sub /s\n"), entry("sub/f", b"f")),
}
CASES = tuple(
    Case(each.name, each.dockerfile, each.files + _EXTRA.get(each.name, ()), each.query, each.fails, each.differs)
    for each in CASES
)

SHOWN = 256


def tree_of(archive: bytes) -> dict[str, tuple[object, ...]]:
    """The files of a saved image, layers applied: kind, mode, owner, link, content; a hard link as what it links to."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as saved:

        def read(name: str) -> bytes:
            member = saved.extractfile(name)
            assert member is not None
            return member.read()

        found: dict[str, tuple[object, ...]] = {}
        for layer in json.loads(read("manifest.json"))[0]["Layers"]:
            _apply(found, read(layer))
    return found


def _apply(found: dict[str, tuple[object, ...]], layer: bytes) -> None:
    before = set(found)
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        for each in archive:
            name = each.name.strip("/")
            folder, _, last = name.rpartition("/")
            if last == ".wh..wh..opq":
                _remove(found, folder, but_itself=True, only=before)
            elif last.startswith(".wh."):
                _remove(found, f"{folder}/{last[4:]}".lstrip("/"))
            else:
                if not each.isdir():
                    _remove(found, name)
                found[name] = _described(found, archive, each)


def _remove(
    found: dict[str, tuple[object, ...]], name: str, but_itself: bool = False, only: set[str] | None = None
) -> None:
    for path in list(found):
        if (path.startswith(f"{name}/") or (path == name and not but_itself)) and (only is None or path in only):
            del found[path]


def _described(
    found: dict[str, tuple[object, ...]], archive: tarfile.TarFile, each: tarfile.TarInfo
) -> tuple[object, ...]:
    if each.islnk():
        return found[each.linkname.strip("/")]
    data = archive.extractfile(each) if each.isreg() else None
    content = data.read() if data is not None else b""
    if len(content) > SHOWN:  # a failed test shows what differs, and large files would make that explode
        content = hashlib.sha256(content).digest()
    return each.type, each.mode & 0o7777, each.uid, each.gid, each.linkname, content
