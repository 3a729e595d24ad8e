"""Making a machine a host of this cluster, over ssh: this very checkout is copied there, installed, and joins.

Spoken by OpenSSH's client, whose configuration, keys and check of host keys count. Each step may be repeated: what is
done already is left as it is.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urlsplit

from shared.cluster import Membership
from shared.errors import FailedPrecondition, InvalidArgument, PermissionDenied, Unavailable

CHECKOUT = Path(__file__).resolve().parents[2]
DIRECTORY = "/opt/shoal/checkout"
STAMP = ".provisioned"
SSH_FAILED = 255
"""ssh's own exit code for what is not the command's."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_UNWANTED = {".git", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}

_WHICH = """
from shared import cluster, config
membership = cluster.load(config.load().state_path)
print(membership.cluster if membership else "")
"""

Say = Callable[[str], None]


class Target(NamedTuple):
    """Where ssh is to go."""

    host: str
    user: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Target:
        """`ssh://[USER@]HOST[:PORT]`. Raises `InvalidArgument`; nothing in it can be an option or a command."""
        try:
            parts = urlsplit(text)
            host, port, user = parts.hostname or "", parts.port or 0, parts.username or ""
        except ValueError:
            host, port, user, parts = "", 0, "", urlsplit("")
        fits = _NAME.fullmatch(host) or re.fullmatch(r"[0-9a-f:.]+(%[A-Za-z0-9]+)?", host)
        more = parts.path.strip("/") or parts.query or parts.fragment or parts.password
        if parts.scheme != "ssh" or not fits or more or (user and not _NAME.fullmatch(user)):
            raise InvalidArgument(f"no ssh address: {text!r}; expected ssh://root@HOST or ssh://root@HOST:PORT")
        return cls(host, user, port)

    def command(self, script: str) -> list[str]:
        """The words that run a shell script there."""
        port = ["-p", str(self.port)] if self.port else []
        user = ["-l", self.user] if self.user else []
        return ["ssh", *port, *user, "--", self.host, f"sh -c {shlex.quote(script)}"]


class Remote:
    """A machine that ssh reaches, and the checkout there."""

    def __init__(self, target: Target, directory: str = DIRECTORY, say: Say = print) -> None:
        if not directory.startswith("/") or directory.strip("/").count("/") < 1:
            raise InvalidArgument(f"no folder for a checkout: {directory!r}; expected one as {DIRECTORY}")
        self._target, self._directory, self._say = target, directory.rstrip("/"), say

    def check(self) -> None:
        """It is reached, by root, and of a kind that `deploy/up` knows."""
        self._say(f"connecting to {self._target.host}")
        told = self._ask("reach it", 'id -u; . /etc/os-release; echo "$ID $VERSION_ID"').split("\n")
        if told[0] != "0":
            raise PermissionDenied(f"{self._target.host}: ssh logs in as user {told[0]}, and root is needed")
        if told[1] not in ("debian 12", "debian 13"):
            raise FailedPrecondition(f"{self._target.host} is {told[1]}; an engine is installed on Debian 12 or 13")

    def copy(self) -> bool:
        """This checkout is there; whether it was another one before. An engine of another one is ended first."""
        files = list(checkout(CHECKOUT))
        wanted = digest(CHECKOUT, files)
        where = shlex.quote(self._directory)
        if self._ask("look for a checkout", f"cat {where}/{STAMP} 2>/dev/null || true") == wanted:
            self._say(f"{self._directory} is up to date")
            return False
        self._say(f"copying {len(files)} files to {self._directory}")
        # The engine's processes run from the checkout: an older one's end first. Containers go on.
        script = (
            f"set -e; rm -rf {where}.new; mkdir -p {where}.new; tar -x -C {where}.new; "
            f"echo {wanted} >{where}.new/{STAMP}; "
            f"if [ -e {where}/deploy/down ]; then {where}/deploy/down >/dev/null; fi; "
            f"rm -rf {where}.old; [ ! -e {where} ] || mv {where} {where}.old; "
            f"mv {where}.new {where}; rm -rf {where}.old"
        )
        self._feed("copy the checkout", script, lambda stream: pack(CHECKOUT, files, stream))
        return True

    def install(self) -> None:
        """The engine is installed and runs; what `deploy/up` prints is shown."""
        self._say("installing and starting the engine (deploy/up)")
        self._run("install the engine", f"{shlex.quote(self._directory)}/deploy/up")

    def cluster(self) -> str:
        """The cluster that it is in; empty: none."""
        return self._ask("ask for its cluster", f"{self._python()} -c {shlex.quote(_WHICH)}")

    def join(self, membership: Membership, token: Callable[[], str], address: str) -> None:
        """It is in this cluster. The token goes by its standard input: nobody sees it among the processes."""
        present = self.cluster()
        if present == membership.cluster:
            self._say("it is in this cluster already")
            return
        if present:
            raise FailedPrecondition(f"{self._target.host} is in another cluster ({present}); there: shoal node leave")
        self._say(f"joining the cluster as {address}")
        words = shlex.join(["-m", "tools.shoal", "node", "join", membership.hubs[0], "--address", address])
        script = f"read -r SHOAL_TOKEN; export SHOAL_TOKEN; exec {self._python()} {words}"
        self._feed("join the cluster", script, lambda stream: stream.write(token().encode() + b"\n"))

    def _python(self) -> str:
        where = shlex.quote(self._directory)
        return f"env PYTHONPATH={where} ${{SHOAL_VENV:-${{SHOAL_PREFIX:-/opt/shoal}}/venv}}/bin/python -P"

    def _ask(self, what: str, script: str) -> str:
        done = subprocess.run(
            self._target.command(script), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        self._expect(what, done.returncode, done.stderr)
        return done.stdout.strip()

    def _run(self, what: str, script: str) -> None:
        """What it prints goes where this process prints."""
        done = subprocess.run(self._target.command(script), stdin=subprocess.DEVNULL, check=False)
        self._expect(what, done.returncode, "see above")

    def _feed(self, what: str, script: str, write: Callable[[IO[bytes]], object]) -> None:
        with subprocess.Popen(
            self._target.command(script), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as there:
            assert there.stdin is not None
            assert there.stderr is not None
            try:
                with there.stdin as stream:
                    write(stream)
            except BrokenPipeError:
                pass  # it has ended: how, its exit code says
            told = there.stderr.read().decode(errors="replace")
        self._expect(what, there.returncode, told)

    def _expect(self, what: str, code: int, told: str) -> None:
        if code == 0:
            return
        last = told.strip().splitlines()[-1:] or ["it said nothing"]
        if code == SSH_FAILED:
            raise Unavailable(f"{self._target.host}: cannot {what}: ssh: {last[0]}")
        raise FailedPrecondition(f"{self._target.host}: cannot {what}: {last[0]} (exit code {code})")


def checkout(folder: Path) -> Iterator[str]:
    """The files of a checkout: those that git does not ignore, else all but what tools leave; in order."""
    if (folder / ".git").exists():
        words = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(words, capture_output=True, text=True, check=False)
        if listed.returncode == 0:
            yield from sorted(name for name in listed.stdout.split("\0") if name and (folder / name).is_file())
            return
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not _UNWANTED & set(name.parts) and name.name != STAMP:
            yield str(name)


def digest(folder: Path, names: Sequence[str]) -> str:
    """Of names, contents, and what may be executed."""
    whole = hashlib.sha256()
    for name in names:
        content = (folder / name).read_bytes()
        executable = (folder / name).stat().st_mode & 0o100
        whole.update(f"{name}\0{executable}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()


def pack(folder: Path, names: Sequence[str], into: IO[bytes]) -> None:
    """As a tar archive whose files are root's."""
    with tarfile.open(fileobj=into, mode="w|") as archive:
        for name in names:
            archive.add(folder / name, name, recursive=False, filter=_roots)


def _roots(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry
