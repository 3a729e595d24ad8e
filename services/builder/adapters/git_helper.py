"""The process that fetches a git repository: no root, no capability, bounded files and memory.

`python -m services.builder.adapters.git_helper URL REFERENCE FOLDER MOST_BYTES`, begun in an empty folder. Nothing is
checked out: git writes the commit's tree as a tar, so no link and no hook of the repository is ever followed or run.
Submodules are fetched into the same repository, and their trees put into the one that is written. Says what
`fetch_helper` says. By ssh it stays root's, for the keys are, without capabilities.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys

from shared import hostmounts
from shared.archive import confine

from . import git_submodules
from .git_commands import Git, GitError

MEMORY = 4 << 30
WORK = "/tmp"
_SETTINGS = {
    "protocol.allow": "never", "protocol.http.allow": "always", "protocol.https.allow": "always",
    "protocol.git.allow": "always", "protocol.ssh.allow": "always", "core.hooksPath": "/dev/null",
    "transfer.fsckObjects": "true", "fetch.recurseSubmodules": "false", "gc.auto": "0", "maintenance.auto": "false",
    "tar.umask": "0022", "credential.helper": "", "advice.detachedHead": "false", "pack.threads": "1",
    "transfer.unpackLimit": "1",
    "uploadpack.packObjectsHook": "", "safe.bareRepository": "all",
}  # fmt: skip


def main(url: str, reference: str, folder: str, most: str) -> None:
    """Fetches the reference; its tree goes to standard output as a tar."""
    git = shutil.which("git")
    if git is None:
        say({"error": "git is not installed, which contexts in git repositories need: apt-get install git"})
        return
    _confine(url, int(most))
    environment = _environment()
    work = Git(git, environment, int(most))
    try:
        commit = git_submodules.included(work, url, work.fetch(url, reference))
        tree = f"{commit}:{folder}" if folder else commit
        if folder and work("cat-file", "-t", tree).strip() != "tree":
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


def say(line: dict[str, object]) -> None:
    """The first line: what comes, or why nothing does."""
    os.write(1, json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
