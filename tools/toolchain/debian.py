"""Debian packages of other suites, by the system's own apt, without a change to the system's apt configuration.

apt gets a private root (sources, lists, caches, an empty list of installed packages) by its own options; the
machine's proxies and certificates stay in force. As nothing counts as installed, what it fetches is complete down
to the C library.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .parts import Part, debian_version

SUITES = ("trixie", "forky", "sid")
"""Codenames from the oldest to the newest: the first one that has everything new enough is taken."""

REFERENCE_SUITES = ("bookworm",)
"""Where the engine is that ours is compared with."""

DEFAULT_MIRROR = "http://deb.debian.org/debian"


class FetchError(Exception):
    """apt failed, or no suite has what is needed; the text says which and why."""


@dataclass(frozen=True)
class Mirror:
    """A Debian mirror and the keyring its suites are verified with (empty: apt's trusted keys)."""

    uri: str
    signed_by: str = ""


def pick_mirror(index_targets: str) -> Mirror:
    """The Debian mirror of `apt-get indextargets`; security and third-party repositories do not count."""
    for paragraph in index_targets.split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in paragraph.splitlines())
        if fields.get("Origin") == fields.get("Label") == "Debian":
            return Mirror(fields["Repo-URI"], fields.get("Signed-By", ""))
    return Mirror(DEFAULT_MIRROR)


def pick_suite(parts: Iterable[Part], madison: str, suites: Sequence[str] = SUITES) -> str | None:
    """The first suite in which every part is new enough, by the lines of `apt-cache madison`."""
    newest: dict[tuple[str, str], tuple[int, ...]] = {}
    for line in madison.splitlines():
        package, version, source = (column.strip() for column in line.split("|"))
        suite = next((name for name in suites if f" {name}/" in source), "")
        key = (package, suite)
        newest[key] = max(newest.get(key, ()), debian_version(version))
    for suite in suites:
        if all(_fits(part, newest.get((part.packages[0], suite), ())) for part in parts):
            return suite
    return None


def _fits(part: Part, version: tuple[int, ...]) -> bool:
    return version >= part.minimum and not (part.below and version >= part.below)


def sources(mirror: Mirror, suites: Sequence[str], architecture: str) -> str:
    """A deb822 sources file."""
    signed_by = f"Signed-By: {mirror.signed_by}\n" if mirror.signed_by else ""
    return (
        f"Types: deb\nURIs: {mirror.uri}\nSuites: {' '.join(suites)}\nComponents: main\n"
        f"Architectures: {architecture}\n{signed_by}"
    )


def configuration(root: Path, architecture: str = "") -> str:
    """apt settings that keep everything below root (for another architecture); read after the machine's own."""
    other = f'APT::Architecture "{architecture}";\n#clear APT::Architectures;\n' if architecture else ""
    return f"""{other}
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "{root}/sources";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "{root}/none";
Dir::State "{root}/state";
Dir::State::Status "{root}/status";
Dir::Cache "{root}/cache";
Dir::Cache::Archives "{root}/archives";
APT::Sandbox::User "root";
APT::Default-Release "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::CNF;
#clear Acquire::IndexTargets::deb::Contents-deb;
"""


def machines_mirror() -> Mirror:
    """The one that this machine's apt is set up for."""
    return pick_mirror(_run("apt-get", "indextargets", "Created-By: Packages"))


class PrivateApt:
    """apt on a root of its own, an existing empty folder.

    The packages of `assumed` count as installed, whatever version is asked for: neither they nor what only they need
    are fetched; nor what `status`, a status file of dpkg's, has. `architecture` in Debian's words; empty: this
    machine's.
    """

    def __init__(
        self,
        root: Path,
        suites: Sequence[str] = SUITES,
        assumed: Iterable[str] = (),
        architecture: str = "",
        status: str = "",
    ) -> None:
        self._root = root
        self._suites = suites
        self._assumed = tuple(assumed)
        self._architecture, self._status = architecture, status
        self._options = (f"-c={root}/apt.conf",)

    def fetch(self, parts: Sequence[Part]) -> tuple[str, list[Path]]:
        """The suite taken, and the package files of the parts with all they depend on."""
        self.update()
        packages = [package for part in parts for package in part.packages]
        suite = pick_suite(parts, _run("apt-cache", *self._options, "madison", *packages), self._suites)
        if suite is None:
            wanted = ", ".join(f"{part.name} >= {'.'.join(map(str, part.minimum))}" for part in parts)
            raise FetchError(f"no suite of {', '.join(self._suites)} on this machine's mirror has {wanted}")
        return suite, self.download(suite, packages)

    def update(self) -> None:
        """Makes the private root, with the suites' package lists."""
        self._prepare(machines_mirror())
        _run("apt-get", *self._options, "-q", "update")

    def download(self, suite: str, packages: Iterable[str]) -> list[Path]:
        """The files of all packages downloaded so far: after `update`, these ones and what they depend on."""
        _run("apt-get", *self._options, "-qy", "--download-only", "-t", suite, "install", *packages)
        return sorted((self._root / "archives").glob("*.deb"))

    def _prepare(self, mirror: Mirror) -> None:
        for folder in ("sources", "none", "state/lists/partial", "cache", "archives/partial"):
            (self._root / folder).mkdir(parents=True)
        architecture = self._architecture or _run("dpkg", "--print-architecture").strip()
        (self._root / "sources/shoal.sources").write_text(sources(mirror, self._suites, architecture))
        (self._root / "apt.conf").write_text(configuration(self._root, self._architecture))
        (self._root / "status").write_text(
            self._status + "".join(installed(name, architecture) for name in self._assumed)
        )


def installed(package: str, architecture: str) -> str:
    """A paragraph of dpkg's status file: the package, in a version that is new enough for every dependency."""
    return (
        f"Package: {package}\nStatus: install ok installed\nVersion: 99999:0\nArchitecture: {architecture}\n"
        "Multi-Arch: foreign\nMaintainer: -\nDescription: -\n\n"
    )


def unpack(package: Path, target: Path) -> None:
    """Unpacks the files of a package below target; runs none of its scripts."""
    _run("dpkg-deb", "-x", str(package), str(target))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise FetchError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
