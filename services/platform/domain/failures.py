"""The runtime's error texts in the words that Docker's users and their tools know (runc's).

The docker CLI ends with 127 when it finds "executable file not found" or "no such file or directory" in a start
error, with 126 for "permission denied" or "is a directory", else with 125.
"""

from __future__ import annotations

import re
from collections.abc import Callable

CREATE_PREFIX = "failed to create task for container: failed to create shim task: OCI runtime create failed: "
_STARTING = "unable to start container process: "

_INIT = f"{_STARTING}error during container init: "

_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], str]], ...] = tuple(
    (re.compile(pattern, re.DOTALL), rewrite)
    for pattern, rewrite in (
        (
            r"executable file `[^`]*` not found in \$PATH|cannot find `[^`]*` in \$PATH",
            lambda _, program: f'{_STARTING}exec: "{program}": executable file not found in $PATH',
        ),
        (
            r"executable file `[^`]*` not found",
            lambda _, program: f'{_STARTING}exec: "{program}": stat {program}: no such file or directory',
        ),
        (
            r"exists but it is not executable|is not a regular file|open executable: Permission denied",
            lambda _, program: f'{_STARTING}exec: "{program}": permission denied',
        ),
        (
            r"chdir to `(?P<dir>[^`]*)`: Not a directory",
            lambda m, _: f"Cannot mkdir: {m['dir']} is not a directory",
        ),
        (
            r"chdir to `(?P<dir>[^`]*)`: (?P<why>[^\n]*)",
            lambda m, _: f'{_STARTING}chdir to cwd ("{m["dir"]}") set in config.json failed: {m["why"].lower()}',
        ),
        (
            r"the sysctl `(?P<name>[^`]*)` (?:is not namespaced|requires a new [^\n]* namespace)",
            lambda m, _: f'sysctl "{m["name"]}" is not in a separate kernel namespace',
        ),
        (
            r"open `?(?P<file>/proc/sys/[^`:\s]*)`?: (?P<why>[^\n]*)",
            lambda m, _: f"{_INIT}open {m['file']}: {m['why'].lower()}",
        ),
        (
            r"cannot stat `(?P<file>/[^`]*)`: (?P<why>[^\n]*)",
            lambda m, _: f'{_INIT}error mounting "{m["file"]}": stat {m["file"]}: {m["why"].lower()}',
        ),
        (
            r"mount `(?P<source>[^`]*)` to `/?(?P<place>[^`]*)`: (?P<why>[^\n]*)",
            lambda m, _: f'{_INIT}error mounting "{m["source"]}" to rootfs at "/{m["place"]}": {m["why"].lower()}',
        ),
    )
)


def create_failure(text: str, program: str = "") -> str:
    """The message of a failed create; `program` is the command as it was asked for."""
    told = translate(text, program)
    return told if told.startswith("Cannot mkdir") else refused(told)


def refused(why: str) -> str:
    """The message for what runc would have refused."""
    return f"{CREATE_PREFIX}runc create failed: {why}: unknown"


def bad_limit(number: int | str) -> str:
    """The message for a resource limit whose soft value is above the hard one."""
    why = f"error setting rlimits for ready process: error setting rlimit type {number}: invalid argument"
    return refused(_INIT + why)


def exec_failure(text: str, program: str = "") -> str:
    """The message of a failed exec."""
    return exec_failed(translate(text, program))


def exec_failed(why: str) -> str:
    """The message for an exec that runc would have refused."""
    return f"OCI runtime exec failed: exec failed: {why}: unknown"


def exec_refused(stage: str, why: str, what: str, program: str) -> str:
    """The message of an exec that the shim could not make: at which stage, why, and about what."""
    why = why.lower()
    told = {
        "search": f'exec: "{program}": executable file not found in $PATH',
        "stat": f'exec: "{program}": stat {program}: {why}',
        "exec": f'exec: "{program}": {why}',
        "chdir": f'chdir to cwd ("{what}") set in config.json failed: {why}',
    }.get(stage, f"{what}: {why}" if what else why)
    return exec_failed(_STARTING + told)


def translate(text: str, program: str = "") -> str:
    """The known failures in runc's words, any other as the runtime told it."""
    for pattern, rewrite in _RULES:
        if match := pattern.search(text):
            return rewrite(match, program)
    return _STARTING + " ".join(text.split())
