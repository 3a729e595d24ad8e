"""Images built by Dockerfiles of Debian packages, with this checkout's own engine, and kept in the tests' cache.

What a build needs is fetched here, by the host's own apt settings: builds have no network.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.cache import kept_file
from tests.support.debian import SUITE, packages
from tests.support.engine import Engine
from tests.support.shoal import Shoal
from tools.toolchain.debian import machines_mirror

FILES = Path(__file__).with_name("software_files")
_NO_FILES = shutil.ignore_patterns("__pycache__")
BASE = f"debian:{SUITE}"
LEFT_OUT = ("doc", "man", "info", "lintian", "locale", "bash-completion")
"""Folders of /usr/share that no package puts anything into."""
SECONDS = 300
_CLASSIC = {"DOCKER_BUILDKIT": "0"}


@dataclass(frozen=True)
class Recipe:
    """An image: the folder of its Dockerfile, its tags, and what packages lie in its context, in `packages`."""

    folder: str
    tags: tuple[str, ...]
    packages: tuple[str, ...]

    @property
    def key(self) -> str:
        """Changes with everything that the image is made of, but for new versions of the packages."""
        digest = hashlib.sha256(repr((self, SUITE, LEFT_OUT)).encode())
        for name in ("base", self.folder):
            for file in sorted(each for each in (FILES / name).iterdir() if each.is_file()):
                digest.update(file.name.encode() + file.read_bytes())
        return digest.hexdigest()[:16]


def load(engine: Engine, *recipes: Recipe) -> None:
    """Loads those that the engine lacks."""
    for recipe in recipes:
        if engine.call("GET", f"/images/{recipe.tags[0]}/json").status == 404:
            engine.ok("load", "--input", str(archive(recipe)), timeout=SECONDS)


def archive(recipe: Recipe) -> Path:
    """The image as `docker save` writes it."""
    return kept_file("images", f"{recipe.folder}-{recipe.key}.tar", make=lambda folder: _make(recipe, folder))


def _make(recipe: Recipe, folder: Path) -> Path:
    rootfs = kept_file("images", f"{BASE.replace(':', '-')}.tar", make=_debootstrap)
    context = folder / "context"
    shutil.copytree(FILES / recipe.folder, context, ignore=_NO_FILES)
    (context / "packages").mkdir()
    for package in packages(folder / "apt", recipe.packages, status=_read(rootfs, "./var/lib/dpkg/status")):
        shutil.move(package, context / "packages")
    shutil.copytree(FILES / "base", folder / "base", ignore=_NO_FILES)
    (folder / "base/rootfs.tar").hardlink_to(rootfs)
    with Shoal() as shoal:
        engine = Engine(shoal.host, shoal.netns)
        _build(engine, folder / "base", (BASE,))
        _build(engine, context, recipe.tags)
        engine.ok("save", "--output", str(folder / "image.tar"), *recipe.tags, timeout=SECONDS)
    return folder / "image.tar"


def _build(engine: Engine, context: Path, tags: Sequence[str]) -> None:
    named = [word for tag in tags for word in ("--tag", tag)]
    done = engine.docker("build", *named, str(context), env=_CLASSIC, timeout=SECONDS)
    assert done.code == 0, f"{done.out}{done.err}"


def _debootstrap(folder: Path) -> Path:
    """Debian's essential packages and apt, installed."""
    mirror, rootfs = machines_mirror(), folder / "rootfs.tar"
    signed = f" [signed-by={mirror.signed_by}]" if mirror.signed_by else ""
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    command = ["mmdebstrap", "--quiet", "--variant=apt", *left_out, SUITE, str(rootfs)]
    subprocess.run(
        [*command, f"deb{signed} {mirror.uri} {SUITE} main"], check=True, stdin=subprocess.DEVNULL, timeout=SECONDS
    )
    return rootfs


def _read(archive: Path, name: str) -> str:
    return subprocess.run(["tar", "-xOf", archive, name], check=True, capture_output=True, text=True).stdout
