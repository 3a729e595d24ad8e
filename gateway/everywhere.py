"""Questions to all hosts of a cluster: who asks one socket is told of all. Without a cluster there is this host alone.

A name means what this host has by it, else what another one has. Hosts that are not there are left out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from shared.contracts.base import Empty, Endpoint, Message
from shared.contracts.common import PruneReport
from shared.contracts.scheduler import HERE
from shared.errors import Conflict, DeadlineExceeded, NotFound, ShoalError, Unavailable
from shared.tasks import TaskGroup

from .context import Gateway

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds within which a host has to show that it is there, however long its answer takes."""
Req = TypeVar("Req", bound=Message)
Rep = TypeVar("Rep", bound=Message)


async def ask(gateway: Gateway, endpoint: Endpoint[Req, Rep], request: Req, node: str) -> Rep:
    """The answer of a host; `Unavailable` soon where the host is not there."""
    answer = await _asked(gateway, endpoint, request, node)
    if isinstance(answer, ShoalError):
        raise answer
    return answer


async def _asked(gateway: Gateway, endpoint: Endpoint[Req, Rep], request: Req, node: str) -> Rep | ShoalError:
    if node == gateway.kernel.node:
        return await _outcome(gateway.call(endpoint, request))
    tasks = TaskGroup("everywhere")
    answer = tasks.start(_outcome(gateway.kernel.bus.call(endpoint, request, node=node)), "answer")
    there = tasks.start(_outcome(gateway.kernel.bus.call(HERE, Empty(), node=node, timeout=PATIENCE)), "there")
    try:
        await asyncio.wait((answer, there), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done() and isinstance(there.result(), ShoalError):
            return Unavailable(f"host {gateway.hosts.name(node)} does not answer")
        return await answer
    finally:
        tasks.cancel()


async def _outcome(call: Coroutine[Any, Any, Rep]) -> Rep | ShoalError:
    """A refusal is an answer, no failure of the task."""
    try:
        return await call
    except ShoalError as error:
        return error


async def ask_each(
    gateway: Gateway, endpoint: Endpoint[Req, Rep], requests: Mapping[str, Req]
) -> dict[str, Rep | ShoalError]:
    """What these hosts answer or refuse, by host."""
    answers = await asyncio.gather(*(_asked(gateway, endpoint, request, node) for node, request in requests.items()))
    return dict(zip(requests, answers, strict=True))


async def ask_all(gateway: Gateway, endpoint: Endpoint[Req, Rep], request: Callable[[str], Req]) -> dict[str, Rep]:
    """What all hosts answer, this one first, the others by name. Raises what this host refuses, unless it lacks only
    something that others have.
    """
    answers = await ask_each(gateway, endpoint, {node: request(node) for node in gateway.hosts.present()})
    found: dict[str, Rep] = {}
    refusal: ShoalError | None = None
    for node, answer in answers.items():
        if not isinstance(answer, ShoalError):
            found[node] = answer
        elif isinstance(answer, NotFound):
            refusal = refusal or answer
        elif node == gateway.kernel.node or not isinstance(answer, (Unavailable, DeadlineExceeded)):
            raise answer
        else:
            log.warning("%s: %s", gateway.hosts.name(node), answer)
    if refusal is not None and not found:
        raise refusal
    return found


async def find(
    gateway: Gateway,
    endpoint: Endpoint[Req, Rep],
    request: Callable[[str], Req],
    name: str,
    identity: Callable[[Rep], str],
    advice: str,
) -> tuple[str, Rep]:
    """Where something is that is called `name`, and what it is. `identity` tells whether what several hosts have is the
    same; `advice` is for who has to say which.

    Raises `NotFound` as this host does, `Unavailable` when it may be on a host that has just gone, and `Conflict` when
    other hosts mean different things by the name.
    """
    try:
        return gateway.kernel.node, await gateway.call(endpoint, request(name))
    except NotFound:
        _, *others = gateway.hosts.present()
        answers = await ask_each(gateway, endpoint, {node: request(name) for node in others})
        found = {node: answer for node, answer in answers.items() if not isinstance(answer, ShoalError)}
        silent = [node for node, answer in answers.items() if isinstance(answer, (Unavailable, DeadlineExceeded))]
        if not found and silent:
            where = ", ".join(map(gateway.hosts.name, silent))
            raise Unavailable(f"{name} may be on {where}, which cannot be asked now") from None
        if not found:
            raise
    if len({identity(answer) for answer in found.values()}) > 1:
        where = ", ".join(gateway.hosts.name(node) for node in found)
        raise Conflict(f"{name} is not the same on the hosts {where}: {advice}")
    return next(iter(found.items()))


async def find_named(
    gateway: Gateway,
    endpoint: Endpoint[Req, Rep],
    request: Callable[[str], Req],
    name: str,
    identity: Callable[[Rep], str],
) -> tuple[str, Rep]:
    """As `find`; `host/name` is what that host has by the name."""
    host, plain = gateway.hosts.split(name)
    if host:
        return host, await ask(gateway, endpoint, request(plain), host)
    return await find(gateway, endpoint, request, name, identity, "give the host with it, as in host/name")


def called(gateway: Gateway, names: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], str]:
    """What things are called in a list, by host and name: where an earlier host has the name, `host/name`."""
    shown: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for node, of_node in names.items():
        for name in of_node:
            shown[node, name] = f"{gateway.hosts.name(node)}/{name}" if name in taken else name
        taken |= {name for of, name in shown if of == node}
    return shown


async def catch_up(gateway: Gateway, node: str) -> None:
    """Before anything on a host is removed because no container has it: returns when all of its containers are seen
    here. Raises `Unavailable`.
    """
    try:
        await gateway.containers.catch_up(node, PATIENCE)
    except Unavailable as error:
        host = gateway.hosts.name(node)
        raise Unavailable(f"which containers host {host} has is not known now: {error.message}") from None


async def settled(gateway: Gateway) -> tuple[str, ...]:
    """The hosts that are there, this one first, of which all containers are seen here. What any other uses is not
    known: one that has just joined, or is just being heard of again.
    """
    nodes = gateway.hosts.present()
    outcomes = await asyncio.gather(*(catch_up(gateway, node) for node in nodes), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Unavailable):
            log.warning("left out: %s", outcome)
        elif outcome is not None:
            raise outcome
    return tuple(node for node, outcome in zip(nodes, outcomes, strict=True) if outcome is None)


async def prune_all(
    gateway: Gateway, endpoint: Endpoint[Req, PruneReport], requests: Mapping[str, Req]
) -> dict[str, PruneReport]:
    """What was removed on each host. Of several hosts, those that did it are told, whatever another one met; raises the
    first failure when nothing was removed.
    """
    answers = await ask_each(gateway, endpoint, requests)
    reports = {node: answer for node, answer in answers.items() if not isinstance(answer, ShoalError)}
    failures = {node: answer for node, answer in answers.items() if isinstance(answer, ShoalError)}
    for node, failure in failures.items():
        log.warning("prune on %s: %s", gateway.hosts.name(node), failure)
    if failures and not any(report.removed for report in reports.values()):
        raise next(iter(failures.values()))
    return reports
