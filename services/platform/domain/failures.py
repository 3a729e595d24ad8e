"""The runtime's error texts in the words that Docker's users and their tools know (runc's).

The docker CLI ends with 127 when it finds "executable file not found" or "no such file or directory" in a start
error, with 126 for "permission denied" or "is a directory", else with 125.
"""

from __future__ import annotations

import re
from collections.abc import Callable

CREATE_PREFIX = "failed to create task for container: failed to create shim task: OCI runtime create failed: "
_STARTING = "unable to start container process: "

_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern, re.DOTALL), rewrite)
    for pattern, rewrite in (
        (
            r"executable file `(?P<file>[^/`]*)` not found in \$PATH",
            lambda m: f'{_STARTING}exec: "{m["file"]}": executable file not found in $PATH',
        ),
        (
            r"executable file `(?P<file>/[^`]*)` not found",
            lambda m: f'{_STARTING}exec: "{m["file"]}": stat {m["file"]}: no such file or directory',
        ),
        (
            r"executable file `(?P<file>[^`]*)` not found",
            lambda m: f'{_STARTING}exec: "{m["file"]}": stat {m["file"]}: no such file or directory',
        ),
        (
            r"(?:the path `(?P<path>[^`]*)` exists but it is not executable|open executable|open `(?P<file>[^`]*)`)"
            r".*[Pp]ermission denied|the path `(?P<only>[^`]*)` exists but it is not executable",
            lambda m: f'{_STARTING}exec: "{m["path"] or m["file"] or m["only"] or ""}": permission denied',
        ),
        (
            r"chdir to `(?P<dir>[^`]*)`: Not a directory",
            lambda m: f"Cannot mkdir: {m['dir']} is not a directory",
        ),
        (
            r"chdir to `(?P<dir>[^`]*)`: (?P<why>[^\n]*)",
            lambda m: f'{_STARTING}chdir to cwd ("{m["dir"]}") set in config.json failed: {m["why"].lower()}',
        ),
        (
            r"the sysctl `(?P<name>[^`]*)` (?:is not namespaced|requires a new [^\n]* namespace)",
            lambda m: f'sysctl "{m["name"]}" is not in a separate kernel namespace',
        ),
        (
            r"open `?(?P<file>/proc/sys/[^`:\s]*)`?: (?P<why>[^\n]*)",
            lambda m: f"{_STARTING}error during container init: open {m['file']}: {m['why'].lower()}",
        ),
    )
)


def create_failure(text: str) -> str:
    """The message of a failed create."""
    told = translate(text)
    if told.startswith("Cannot mkdir"):
        return told
    return f"{CREATE_PREFIX}runc create failed: {told}: unknown"


def exec_failure(text: str) -> str:
    """The message of a failed exec."""
    return f"OCI runtime exec failed: exec failed: {translate(text)}: unknown"


def translate(text: str) -> str:
    """The known failures in runc's words, any other as the runtime told it."""
    for pattern, rewrite in _RULES:
        if match := pattern.search(text):
            return rewrite(match)
    return _STARTING + " ".join(text.split())


def exit_code(message: str) -> int:
    """What Docker records as exit code of a container that could not be started."""
    lowered = message.lower()
    if "permission denied" in lowered or "is a directory" in lowered:
        return 126
    if any(text in lowered for text in ("executable file not found", "no such file or directory", "not a directory")):
        return 127
    return 128
