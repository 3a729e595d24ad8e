"""Makes a prefix: links to the system's programs, and unpacked ones that carry their own C library.

A prefix is a symbolic link to a folder beside it. A new folder is complete and tried before the link is turned to it
in one step: a run that is broken off, or a second run at the same time, leaves a usable prefix. Folders that the
link no longer names stay while a container's monitor may still run from them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .debian import SUITES, FetchError, PrivateApt, unpack
from .parts import Part
from .probe import Finding, in_prefix, on_system

BINARY_FOLDERS = ("usr/bin", "usr/sbin", "bin", "sbin")


def ensure(
    prefix: Path, parts: Sequence[Part], patchelf: Path, renew: bool = False, suites: Sequence[str] = SUITES
) -> list[Finding]:
    """The programs of the prefix, made when one is missing or unfit; `renew` makes them anew in any case.

    What the system does not have comes from one of Debian's `suites`, the first that has all of it.

    Raises:
        FetchError: a part could be had neither from the system nor from Debian's suites.
    """
    with _lock(prefix):
        present = in_prefix(prefix, parts)
        if not renew and not any(finding.problem for finding in present):
            return present
        folder = _build(prefix, parts, patchelf, suites)
        _turn(prefix, folder)
        _sweep(prefix, keep=folder)
        return in_prefix(prefix, parts)


@contextmanager
def _lock(prefix: Path) -> Iterator[None]:
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{prefix}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(prefix: Path, parts: Sequence[Part], patchelf: Path, suites: Sequence[str]) -> Path:
    """A new folder with all parts, each tried where it will stay."""
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix.name}-", dir=prefix.parent))
    try:
        folder.chmod(0o755)
        (folder / "bin").mkdir()
        findings = [on_system(part) for part in parts]
        for finding in findings:
            if finding.path and not finding.problem:
                for name in (finding.part.name, *finding.part.companions):
                    (folder / "bin" / name).symlink_to(finding.path.with_name(name))
        if missing := [finding.part for finding in findings if finding.problem]:
            fetch_into(folder, missing, patchelf, suites)
        if problems := [finding.problem for finding in in_prefix(folder, parts) if finding.problem]:
            raise FetchError("; ".join(problems))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def fetch_into(folder: Path, parts: Sequence[Part], patchelf: Path, suites: Sequence[str] = SUITES) -> None:
    """Brings parts from Debian into bin/ of a folder, with their libraries in lib/; PACKAGES tells what came.

    Raises:
        FetchError: apt or patchelf failed, or no suite has the parts new enough.
    """
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
        (root := Path(scratch, "apt")).mkdir()
        suite, packages = PrivateApt(root, suites).fetch(parts)
        (tree := Path(scratch, "tree")).mkdir()
        for package in packages:
            unpack(package, tree)
        _collect_libraries(tree, folder / "lib")
        for name in (name for part in parts for name in (part.name, *part.companions)):
            program = next(path for place in BINARY_FOLDERS if (path := tree / place / name).is_file())
            _place(program, folder, patchelf)
        (folder / "PACKAGES").write_text("".join(f"{suite} {package.stem}\n" for package in packages))


def _collect_libraries(tree: Path, target: Path) -> None:
    """Every shared library of the packages in one folder, under the names programs ask for."""
    target.mkdir()
    for library in sorted(tree.glob("**/lib/*-linux-*/*.so*")):
        if not (target / library.name).is_symlink():
            shutil.copy2(library, target / library.name, follow_symlinks=False)


def _place(program: Path, folder: Path, patchelf: Path) -> None:
    """Puts a program into bin/, bound to the loader and the libraries of lib/ and to nothing else."""
    placed = folder / "bin" / program.name
    shutil.copy2(program, placed)
    loader = _run(patchelf, "--print-interpreter", placed).strip()
    library_path = folder / "lib"
    _run(
        patchelf,
        *("--set-interpreter", library_path / Path(loader).name),
        *("--force-rpath", "--set-rpath", library_path),  # DT_RPATH also serves what the libraries load
        placed,
    )


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FetchError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def _turn(prefix: Path, folder: Path) -> None:
    """Lets the prefix name the folder, atomically."""
    if prefix.exists() and not prefix.is_symlink():
        raise FetchError(f"{prefix} is not a link made by this tool: move it away or choose another prefix")
    link = prefix.with_name(f".{folder.name}.link")
    link.symlink_to(folder.name)
    os.replace(link, prefix)


def _sweep(prefix: Path, keep: Path) -> None:
    """Removes older folders of this prefix that no process runs from."""
    used = {os.path.realpath(link) for link in Path("/proc").glob("[0-9]*/exe") if _readable(link)}
    for folder in prefix.parent.glob(f"{prefix.name}-????????"):
        if folder != keep and not any(path.startswith(f"{folder}/") for path in used):
            shutil.rmtree(folder, ignore_errors=True)


def _readable(link: Path) -> bool:
    try:
        os.readlink(link)
    except OSError:
        return False
    return True
