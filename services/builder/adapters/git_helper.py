"""The process that fetches a git repository: no root, no capability, bounded files and memory.

`python -m services.builder.adapters.git_helper URL REFERENCE FOLDER MOST_BYTES`, begun in an empty folder. Nothing is
checked out: git writes the commit's tree as a tar, so no link and no hook of the repository is ever followed or run.
Submodules are empty directories. Says what `fetch_helper` says. By ssh it stays root's, for the keys are, without
capabilities.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

from shared import hostmounts
from shared.archive import confine

MEMORY = 4 << 30
WORK = "/tmp"
MOST_TOLD = 1000
_COMMIT = re.compile(r"[0-9a-f]{7,64}\Z")
_SETTINGS = {
    "protocol.allow": "never", "protocol.http.allow": "always", "protocol.https.allow": "always",
    "protocol.git.allow": "always", "protocol.ssh.allow": "always", "core.hooksPath": "/dev/null",
    "transfer.fsckObjects": "true", "fetch.recurseSubmodules": "false", "gc.auto": "0", "maintenance.auto": "false",
    "tar.umask": "0022", "credential.helper": "", "advice.detachedHead": "false", "pack.threads": "1",
    "uploadpack.packObjectsHook": "", "safe.bareRepository": "all",
}  # fmt: skip


class GitError(Exception):
    """What git said when it failed."""


def main(url: str, reference: str, folder: str, most: str) -> None:
    """Fetches the reference; its tree goes to standard output as a tar."""
    git = shutil.which("git")
    if git is None:
        say({"error": "git is not installed, which contexts in git repositories need: apt-get install git"})
        return
    _confine(url, int(most))
    environment = _environment()
    try:
        commit = fetch(git, environment, url, reference)
        tree = f"{commit}:{folder}" if folder else commit
        if folder and run(git, environment, "cat-file", "-t", tree).strip() != "tree":
            raise GitError(f"{folder}: not a directory")
    except GitError as error:
        say({"error": f"unable to 'git clone' {url}: {error}"})
        return
    say({"name": "", "modified": 0})
    os.execve(git, ["git", "archive", "--format=tar", tree], environment)


def _confine(url: str, most: int) -> None:
    """Only the folder it was begun in is writable, under another name that everybody can reach."""
    confine.leave_mounts()
    hostmounts.mount("none", "/", flags=hostmounts.MS_REC | hostmounts.MS_PRIVATE)
    hostmounts.mount(".", WORK, flags=hostmounts.MS_BIND)
    os.chdir(WORK)
    confine.limit_memory(MEMORY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    if url.lower().startswith(("git@", "ssh://")):
        confine.keep_capabilities(())
    else:
        os.chown(".", confine.NOBODY, confine.NOBODY)
        confine.become_nobody()
    confine.die_with_parent()


def _environment() -> dict[str, str]:
    given = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    if authorities := os.environ.get("SSL_CERT_FILE"):
        given["GIT_SSL_CAINFO"] = authorities
    settings = {"GIT_CONFIG_COUNT": str(len(_SETTINGS))}
    for number, (name, value) in enumerate(_SETTINGS.items()):
        settings |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        **given, **settings, "PATH": os.defpath, "HOME": WORK, "GIT_DIR": f"{WORK}/repository", "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes", "GIT_ATTR_NOSYSTEM": "1",
    }  # fmt: skip


def fetch(git: str, environment: dict[str, str], url: str, reference: str) -> str:
    """The commit that the reference names; only it is fetched where the other side can do so."""
    run(git, environment, "init", "--quiet", "--bare", "--template=")
    Path(environment["GIT_DIR"], "info").mkdir(exist_ok=True)
    Path(environment["GIT_DIR"], "info/attributes").write_text("* -export-ignore -export-subst\n")
    try:
        run(git, environment, "fetch", "--quiet", "--depth=1", "--no-tags", "--", url, reference)
        return run(git, environment, "rev-parse", "--verify", "FETCH_HEAD^{commit}").strip()
    except GitError:
        wanted = "refs/heads/*:refs/fetched/heads/*", "refs/tags/*:refs/fetched/tags/*", "+HEAD:refs/fetched/HEAD"
        run(git, environment, "fetch", "--quiet", "--no-tags", "--", url, *wanted)
    names = [f"refs/fetched/{kind}{reference}" for kind in ("heads/", "tags/", "")]
    for name in [*names, *([reference] if _COMMIT.match(reference) else [])]:
        try:
            return run(git, environment, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()
        except GitError:
            continue
    raise GitError(f"it has neither a branch nor a tag nor a commit {reference}")


def run(git: str, environment: dict[str, str], *arguments: str) -> str:
    """What a git command prints; raises `GitError`."""
    done = subprocess.run(
        [git, *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        preexec_fn=confine.die_with_parent, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise GitError((done.stderr.strip() or f"git {arguments[0]} ended with {done.returncode}")[:MOST_TOLD])
    return done.stdout


def say(line: dict[str, object]) -> None:
    """The first line: what comes, or why nothing does."""
    os.write(1, json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
