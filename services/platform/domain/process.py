"""The program of a workload or of an exec (runtime-spec `process`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shared.contracts.container import Ulimit
from shared.contracts.platform import Process
from shared.errors import InvalidArgument

from . import capabilities
from .facts import Facts
from .failures import bad_limit, exec_failed
from .mounts import INIT_PATH
from .users import Ids

_LIMITS = frozenset(
    (
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
        "as",
    )
)
_TYPE = {"cpu": 0, "fsize": 1, "data": 2, "stack": 3, "core": 4, "rss": 5, "nproc": 6, "nofile": 7, "memlock": 8}
"""Numbers of the commoner limits on Linux, for the error's text."""


def process(
    wanted: Process, ids: Ids, facts: Facts, ulimits: Iterable[Ulimit] = (), init: bool = False
) -> dict[str, Any]:
    """The `process` object. Raises `InvalidArgument` for an empty command, unknown capabilities or bad limits."""
    if not wanted.args:
        raise InvalidArgument("no command specified")
    held = granted(wanted, facts)
    answer: dict[str, Any] = {
        "terminal": wanted.tty,
        "user": {"uid": ids.uid, "gid": ids.gid, "additionalGids": list(ids.groups)},
        "args": [INIT_PATH, "--", *wanted.args] if init else list(wanted.args),
        "env": list(wanted.env),
        "cwd": wanted.cwd or "/",
        "capabilities": _sets(held, ids.uid),
        "noNewPrivileges": wanted.no_new_privileges,
        "oomScoreAdj": wanted.oom_score_adj,
        "rlimits": rlimits(ulimits, facts),
    }
    height, width = wanted.console_size
    if wanted.tty and height and width:
        answer["consoleSize"] = {"height": height, "width": width}
    return answer


def exec_process(wanted: Process, base: dict[str, Any], ids: Ids, facts: Facts) -> dict[str, Any]:
    """The `process` object of an exec: its workload's own (limits, capabilities) with what the exec changes."""
    if wanted.cwd and not wanted.cwd.startswith("/"):
        raise InvalidArgument(exec_failed("Cwd must be an absolute path"))
    own = process(wanted, ids, facts)
    if not wanted.privileged and "capabilities" in base:
        own["capabilities"] = _sets(base["capabilities"].get("bounding", ()), ids.uid)
    own["noNewPrivileges"] = wanted.no_new_privileges or base.get("noNewPrivileges", False)
    return base | own | {"rlimits": base.get("rlimits", []), "oomScoreAdj": base.get("oomScoreAdj", 0)}


def _sets(held: Sequence[str], uid: int) -> dict[str, Sequence[str]]:
    """A user other than root holds none at its execve, or it could run what only root may; setuid programs get them."""
    now: Sequence[str] = held if uid == 0 else ()
    return {"bounding": held, "effective": now, "permitted": now}


def granted(wanted: Process, facts: Facts) -> tuple[str, ...]:
    """The capabilities of the process, which decide on its system call filter."""
    return capabilities.effective(wanted.cap_add, wanted.cap_drop, wanted.privileged, facts.bounding)


def rlimits(ulimits: Iterable[Ulimit], facts: Facts) -> list[dict[str, Any]]:
    """`process.rlimits`; where the engine may not raise limits, they end at its own hard limit (-1: no limit)."""
    answer = []
    for limit in ulimits:
        if limit.name not in _LIMITS:
            raise InvalidArgument(f"invalid ulimit type: {limit.name}")
        kind = f"RLIMIT_{limit.name.upper()}"
        soft, hard = _unsigned(limit.soft), _unsigned(limit.hard)
        if soft > hard:
            raise InvalidArgument(bad_limit(_TYPE.get(limit.name, limit.name)))
        highest = _unsigned(-1 if facts.raise_limits else facts.hard_limits.get(kind, -1))
        answer.append({"type": kind, "soft": min(soft, highest), "hard": min(hard, highest)})
    if facts.open_files and not any(limit["type"] == "RLIMIT_NOFILE" for limit in answer):
        soft, hard = facts.open_files
        answer.append({"type": "RLIMIT_NOFILE", "soft": _unsigned(soft), "hard": _unsigned(hard)})
    return answer


def _unsigned(value: int) -> int:
    return value if value >= 0 else (1 << 64) - 1
