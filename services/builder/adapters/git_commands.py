"""The git commands of the process that fetches repositories; for `git_helper`, which is confined."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from shared.archive import confine

MOST_TOLD = 1000
_PIECE = 1 << 20
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")


class GitError(Exception):
    """What git said when it failed, or why it was not asked any further."""


class Git:
    """Works on the repository that the environment names, of at most `most` bytes after each fetch.

    Each fetch adds one pack, whose size the process's limit of a file's size bounds while it comes.
    """

    def __init__(self, program: str, environment: dict[str, str], most: int) -> None:
        self._program, self._environment, self._most = program, environment, most

    def __call__(self, *arguments: str, input: str = "", **more: str) -> str:
        """What a git command prints, with more environment; raises `GitError`."""
        done = subprocess.run(
            [self._program, *arguments], env={**self._environment, **more}, input=input, capture_output=True,
            text=True, errors="replace", preexec_fn=confine.die_with_parent, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise GitError((done.stderr.strip() or f"git {arguments[0]} ended with {done.returncode}")[:MOST_TOLD])
        return done.stdout

    def records(self, *arguments: str, most: int) -> Iterator[str]:
        """What a command prints that ends each line with a zero, as it comes; `GitError` also for more than `most`."""
        command = [self._program, *arguments]
        with subprocess.Popen(
            command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=confine.die_with_parent,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                rest, count = b"", 0
                while piece := os.read(process.stdout.fileno(), _PIECE):
                    *whole, rest = (rest + piece).split(b"\0")
                    if (count := count + len(whole)) > most:
                        raise GitError(f"it has more than {most} files")
                    yield from (each.decode(errors="replace") for each in whole)
                if process.wait() != 0:
                    raise GitError(process.stderr.read(MOST_TOLD).decode(errors="replace").strip())
            finally:
                process.kill()

    @property
    def folder(self) -> Path:
        return Path(self._environment["GIT_DIR"])

    def fetch(self, url: str, reference: str) -> str:
        """The commit that the reference names; only it is fetched where the other side can do so."""
        if not self.folder.exists():
            self("init", "--quiet", "--bare", "--template=")
            (self.folder / "info").mkdir(exist_ok=True)
            (self.folder / "info/attributes").write_text("* -export-ignore -export-subst\n")
        try:
            self._fetch("--depth=1", "--", url, reference)
            return self("rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()
        except GitError:
            wanted = "+refs/heads/*:refs/fetched/heads/*", "+refs/tags/*:refs/fetched/tags/*", "+HEAD:refs/fetched/HEAD"
            self._fetch("--", url, *wanted)
        names = [f"refs/fetched/{kind}{reference}" for kind in ("heads/", "tags/", "")]
        for name in [*names, *([reference] if _COMMIT.match(reference) else [])]:
            try:
                return self("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
            except GitError:
                continue
        raise GitError(f"it has neither a branch nor a tag nor a commit {reference}")

    def _fetch(self, *arguments: str) -> None:
        self("fetch", "--quiet", "--no-tags", *arguments)
        size = sum(
            os.lstat(os.path.join(at, name)).st_blocks * 512
            for at, folders, files in os.walk(self.folder)
            for name in (*folders, *files)
        )
        if size > self._most:
            raise GitError(f"it is larger than {self._most} bytes (max_unpack_bytes)")
