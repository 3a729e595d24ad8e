"""Whether the hosts tell the same, and what they promised, when all is mended."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tools.lab.lab import Lab

from .clients import DownError, Held, call


def seen(lab: Lab, host: int) -> dict[str, tuple[str, str]]:
    """The containers as one host tells them: name and state by id."""
    status, told = call(lab, host, "GET", "/containers/json?all=1")
    if status != 200:
        raise DownError(f"list at host {host}: {status} {told}")
    return {one["Id"]: (one["Names"][0], one["State"]) for one in told}


def processes(numbers: Iterable[int]) -> Counter[int]:
    """How many processes `sleep NUMBER` there are on the machine."""
    wanted, found = {str(number): number for number in numbers}, Counter[int]()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) >= 2 and words[0] == b"sleep" and words[1].decode(errors="replace") in wanted:
            found[wanted[words[1].decode()]] += 1
    return found


def differences(views: Mapping[int, dict[str, tuple[str, str]]]) -> list[str]:
    """What hosts tell differently."""
    first, *others = views
    wrong = []
    for other in others:
        one, two = views[first], views[other]
        wrong += [
            f"{id[:12]}: host {first} says {one.get(id)}, host {other} says {two.get(id)}"
            for id in one.keys() | two.keys()
            if one.get(id) != two.get(id)
        ]
    return wrong


def broken(view: Mapping[str, tuple[str, str]], held: Iterable[Held]) -> list[str]:
    """What was promised and is not so; and what is there twice."""
    known = list(held)
    running = processes(one.number for one in known)
    wrong = [f"{name} is there twice" for name, number in Counter(n for n, _ in view.values()).items() if number > 1]
    for one in known:
        name, state = view.get(one.id, ("", "")) if one.id else ("", "")
        if one.id and one.removed == "no" and not name:
            wrong.append(f"{one.name} ({one.id[:12]}) was acknowledged and is lost")
        if one.removed == "yes" and name:
            wrong.append(f"{one.name} ({one.id[:12]}) was removed and is there")
        if one.id and one.removed != "asked" and running[one.number] != (state == "running"):
            wrong.append(f"{one.name} is {state or 'gone'} and has {running[one.number]} processes")
        if running[one.number] > 1:
            wrong.append(f"{one.name} runs {running[one.number]} times")
    return wrong


def names(lab: Lab, host: int, view: Mapping[str, tuple[str, str]], gone: Iterable[str]) -> list[str]:
    """Names that are not as the containers are: those of what is gone must be free, the others taken."""
    wrong = []
    for name, _ in view.values():
        status, told = _create(lab, host, name.removeprefix("/"))
        if status != 409:
            wrong.append(f"{name} could be taken again: {status} {told}")
    for name in gone:
        status, told = _create(lab, host, name)
        if status != 201:
            wrong.append(f"the name {name} is still taken: {status} {told}")
        else:
            call(lab, host, "DELETE", f"/containers/{told['Id']}")
    return wrong


def agrees(lab: Lab, host: int) -> bool:
    """Whether the hubs agree to a new name."""
    status, told = _create(lab, host, "agreed")
    if status == 201:
        call(lab, host, "DELETE", f"/containers/{told['Id']}")
    return status == 201


def _create(lab: Lab, host: int, name: str) -> tuple[int, Any]:
    return call(lab, host, "POST", f"/containers/create?name={name}", {"Image": "busybox:latest", "Cmd": ["true"]})


def logs(lab: Lab) -> str:
    """Warnings of all hosts' schedulers and executors, the last ones, to see what went wrong."""
    files = [str(lab.plan.home(n) / "state/log" / f"{name}.log") for n in lab.plan.numbers for name in ("executor",)]
    return subprocess.run(["tail", "-n", "20", *files], capture_output=True, text=True, check=False).stdout
