"""Checks of a running engine: its processes, the broker, each service's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from shared.bus import Bus
from shared.config import Settings
from shared.errors import ShoalError
from shared.tasks import TaskGroup
from tools.shoal import api
from tools.shoal.processes import Process, processes
from tools.supervisor import plan
from tools.supervisor.users import OPERATOR

from .findings import Finding, ok, warning, wrong

SECONDS = 5.0


def check(settings: Settings) -> Iterator[Finding]:
    """The engine, if one runs."""
    found = processes(settings)
    yield from judge_processes(found)
    if any(process.state == "running" for process in found):
        answers = asyncio.run(ping(settings))
        resting = {process.name for process in found if process.state == "resting"}
        yield from (judge_answer(name, problem) for name, problem in answers.items() if name not in resting)
        yield judge_api(str(settings.socket_path), _ask(settings))


def judge_processes(found: list[Process]) -> Iterator[Finding]:
    """All run, or none."""
    stopped = [process.name for process in found if process.state == "stopped"]
    if len(stopped) == len(found):
        yield warning("engine", "does not run", "shoal up")
    elif stopped:
        yield wrong("engine", f"{', '.join(stopped)} not running", "shoal up; the logs are in <state_dir>/log")
    else:
        yield ok("engine", f"{len(found)} processes, {sum(one.memory_bytes for one in found) / 1e6:.0f} MB")


def judge_answer(name: str, problem: str) -> Finding:
    """A service's answer to a ping over the broker."""
    if problem:
        return wrong(
            name, f"does not answer: {problem}", f"look into <state_dir>/log/{name}.log; kill it to have it restarted"
        )
    return ok(name, "answers")


def judge_api(path: str, problem: str) -> Finding:
    """The Docker API's answer."""
    if problem:
        return wrong("Docker API", problem, "look into <state_dir>/log/gateway.log")
    return ok("Docker API", f"answers at {path}")


async def ping(settings: Settings) -> dict[str, str]:
    """Why each service of this host did not answer `$SRV.PING`; empty for those who did."""
    from shared.service import connect

    names = (*plan.SERVICES, plan.GATEWAY)
    try:
        async with asyncio.timeout(SECONDS):
            bus, _ = await connect(settings, OPERATOR)
    except (ShoalError, TimeoutError, OSError) as error:
        return dict.fromkeys(names, f"no connection to the broker ({error or 'time-out'})")

    try:
        return dict(zip(names, await asyncio.gather(*(answers(bus, name) for name in names)), strict=True))
    finally:
        await bus.close()


async def answers(bus: Bus, name: str) -> str:
    """Why a service of this host did not answer; empty if it did. In a cluster those of other hosts answer, too."""
    answered, tasks = asyncio.Event(), TaskGroup("ping")
    tasks.start(bus.nodes_of(name, SECONDS, lambda node: answered.set() if node == bus.node else None), name)
    try:
        async with asyncio.timeout(SECONDS):
            await answered.wait()
    except TimeoutError:
        return f"nobody on this host in {SECONDS:.0f} s"
    finally:
        await tasks.close()
    return ""


def _ask(settings: Settings) -> str:
    try:
        api.call(settings.socket_path, "GET", "/_ping")
    except ShoalError as error:
        return error.message
    return ""
