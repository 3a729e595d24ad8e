"""Images of real software, made of Debian packages without a registry or a build: the packages' files, busybox for
what they leave out, and a few files of ours.

Made once, with nothing run of what is unpacked, and kept in the tests' cache; `load` gives them to an engine.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.support.cache import kept
from tests.support.engine import Engine
from tools.images import BUSYBOX, busybox_layer
from tools.toolchain.debian import PrivateApt, unpack

SUITE = "trixie"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ASSUMED = [
    "adduser",
    "debconf",
    "init-system-helpers",
    "libllvm19",
    "locales",
    "lsb-base",
    "mawk",
    "media-types",
    "netbase",
    "passwd",
    "perl",
    "perl-base",
    "postgresql-client-common",
    "postgresql-common",
    "procps",
    "sensible-utils",
    "ssl-cert",
    "sysvinit-utils",
    "ucf",
]
"""Packages that the files of others can do without: those of installation and administration, and the JIT compiler."""

LEFT_OUT = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/bash-completion",
    "usr/lib/postgresql/17/lib/bitcode",
    "usr/lib/x86_64-linux-gnu/gconv",
    "usr/share/postgresql/17/man",
]


@dataclass(frozen=True)
class Recipe:
    """An image: its tags, what is in it, how it runs."""

    tags: tuple[str, ...]
    packages: tuple[str, ...]
    config: Mapping[str, object]
    users: tuple[str, ...] = ()
    """Further lines of /etc/passwd; a group of the same number and name goes with each."""
    folders: Mapping[str, int] = field(default_factory=dict)
    """Folders to be made, with their owner."""
    programs: Mapping[str, str] = field(default_factory=dict)
    """Path of a script of ours, and its text."""

    @property
    def key(self) -> str:
        """Changes with everything that the image is made of, but for new versions of the packages."""
        parts = [
            asdict(self),
            SUITE,
            ASSUMED,
            LEFT_OUT,
            hashlib.sha256(busybox_layer()).hexdigest(),
            Path(__file__).read_text(),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def load(engine: Engine, *recipes: Recipe) -> None:
    """Loads those that the engine lacks."""
    for recipe in recipes:
        if engine.call("GET", f"/images/{recipe.tags[0]}/json").status == 404:
            engine.ok("load", "--input", str(archive(recipe)), timeout=120)


def archive(recipe: Recipe) -> Path:
    """The image as `docker save` would write it."""
    with kept("images", f"{recipe.tags[0].replace('/', '_')}-{recipe.key}.tar") as path:
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                _make(recipe, Path(folder)).rename(path)
    return path


def _make(recipe: Recipe, folder: Path) -> Path:
    root, apt = folder / "root", folder / "apt"
    root.mkdir()
    apt.mkdir()
    private = PrivateApt(apt, (SUITE,), ASSUMED)
    private.update()
    for package in private.download(SUITE, ("base-files", *recipe.packages)):
        unpack(package, root)
    _furnish(recipe, root)
    layer = folder / "layer.tar"
    with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as opened:
        for name in sorted(_names(root)):
            opened.add(root / name, name, recursive=False)
    return _docker_archive(recipe, layer)


def _furnish(recipe: Recipe, root: Path) -> None:
    for name in LEFT_OUT:
        shutil.rmtree(root / name, ignore_errors=True)
    _busybox(root)
    users = (root / "etc/passwd", root / "etc/group")
    lines = ("root:x:0:0:root:/root:/bin/sh", *recipe.users, "nobody:x:65534:65534:nobody:/:/bin/false")
    users[0].write_text("".join(f"{line}\n" for line in lines))
    users[1].write_text(
        "".join(f"{name}:x:{group}:\n" for name, _, _, group, *_ in (line.split(":") for line in lines))
    )
    (root / "tmp").chmod(0o1777)
    (root / "var/run").rmdir()
    (root / "var/run").symlink_to("/run")  # as the script of base-files has it
    for name, owner in recipe.folders.items():
        (root / name).mkdir(parents=True, exist_ok=True)
        os.chown(root / name, owner, owner)
    for name, text in recipe.programs.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        (root / name).chmod(0o755)


def _busybox(root: Path) -> None:
    """The shell and the usual tools, where no package has them."""
    shutil.copy(BUSYBOX, root / "usr/bin/busybox")
    with tarfile.open(fileobj=io.BytesIO(busybox_layer())) as layer:
        applets = [entry.name.removeprefix("bin/") for entry in layer if entry.issym()]
    for name in applets:
        if not any((root / folder / name).exists() for folder in ("usr/bin", "usr/sbin")):
            (root / "usr/bin" / name).symlink_to("busybox")


def _names(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            yield str((Path(folder) / name).relative_to(root))


def _docker_archive(recipe: Recipe, layer: Path) -> Path:
    with layer.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [f"PATH={PATH}"], **recipe.config},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": f"Debian {SUITE}: {' '.join(recipe.packages)}"}],
    }
    manifest = [{"Config": "config.json", "RepoTags": list(recipe.tags), "Layers": ["layer.tar"]}]
    path = layer.with_name("image.tar")
    with tarfile.open(path, "w") as opened_archive:
        for name, value in (("config.json", document), ("manifest.json", manifest)):
            data = json.dumps(value).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            opened_archive.addfile(info, io.BytesIO(data))
        opened_archive.add(layer, "layer.tar")
    return path
