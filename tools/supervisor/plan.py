"""Decisions of the supervisor: in what order processes start and stop, and when one that died comes back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.contracts import CONTRACTS
from shared.errors import InvalidArgument

BROKER = "broker"
HUB = "hub"
"""The second broker of some hosts of a cluster: together these keep what the whole cluster agrees on."""
GATEWAY = "gateway"
SCHEDULER = "scheduler"
CLUSTERED = (SCHEDULER, "migrator")
"""These run on hosts of a cluster only."""
FENCE = "fence"
"""Runs there, too: ends what others start again when this host is lost."""
DRIVERS = ("migration_driver", "network_driver")
"""Contracts that no service of ours is: a driver is served by another one, or by others."""
SERVICES = tuple(name for name in CONTRACTS if name not in (GATEWAY, *CLUSTERED, *DRIVERS))

STEADY = 5.0
"""Seconds a process lives before its death counts as a new misfortune and not as part of a loop."""
FIRST_DELAY = 0.05
LONGEST_DELAY = 5.0
LOOPING = 5
"""Short lives in a row from which on the log speaks of a crash loop."""


@dataclass(frozen=True)
class Member:
    """One process the supervisor answers for. Times are seconds of the monotonic clock.

    `started` is None while it does not run; `due` is then when it is to be started, infinity for one that rests.
    """

    name: str
    started: float | None = None
    due: float = 0.0
    short_lives: int = 0

    @property
    def looping(self) -> bool:
        return self.short_lives >= LOOPING


def members(embedded_broker: bool, role: str = "", replaced: Sequence[str] = ()) -> tuple[Member, ...]:
    """All processes of an engine in the order of starting; they are stopped in the reverse order.

    `role`: `hub` or `leaf` in a cluster, empty in none. `replaced`: services that somebody else runs; raises
    `InvalidArgument` for a name that no service has.
    """
    if unknown := set(replaced) - {*SERVICES, *CLUSTERED, GATEWAY}:
        raise InvalidArgument(f"configuration: replaced: no engine service is called {min(unknown)}")
    brokers = ((HUB,) if role == "hub" else ()) + ((BROKER,) if embedded_broker else ())
    names = (*brokers, *SERVICES, *((FENCE, *CLUSTERED) if role else ()), GATEWAY)
    return tuple(Member(name) for name in names if name not in replaced)


def begun(member: Member, now: float) -> Member:
    """It runs since now."""
    return replace(member, started=now)


def ended(member: Member, now: float) -> Member:
    """It ended without being told to: at once again the first time, later and later in a loop."""
    lived = now - member.started if member.started is not None else 0.0
    short_lives = member.short_lives + 1 if lived < STEADY else 0
    return replace(member, started=None, due=now + delay(short_lives), short_lives=short_lives)


def rested(member: Member) -> Member:
    """It ended because it had nothing to do: it is not due before it is `wanted`."""
    return replace(member, started=None, due=math.inf, short_lives=0)


def wanted(member: Member, now: float) -> Member:
    """Somebody called it: due now if it rests."""
    return replace(member, due=now) if member.due == math.inf else member


def delay(short_lives: int) -> float:
    """Seconds to wait before the next start: none for the first death, then 0.05 doubling to 5."""
    if short_lives <= 1:
        return 0.0
    return float(min(FIRST_DELAY * 2 ** min(short_lives - 2, 16), LONGEST_DELAY))


def due(all_members: tuple[Member, ...], now: float) -> list[Member]:
    """Those to be started now."""
    return [member for member in all_members if member.started is None and member.due <= now]


def wait(all_members: tuple[Member, ...], now: float) -> float | None:
    """Seconds until somebody is due; None when all run."""
    times = [member.due for member in all_members if member.started is None and member.due < math.inf]
    return max(0.0, min(times) - now) if times else None


def stop_order(all_members: tuple[Member, ...]) -> list[list[str]]:
    """Who is asked to end together: first nobody new comes in, then the services, and the broker when all are gone.

    The fence is not among them: it guards also what goes on without engine.
    """
    names = [member.name for member in all_members]
    brokers = [BROKER, HUB]
    groups = ([GATEWAY], [name for name in names if name not in (GATEWAY, FENCE, *brokers)], brokers)
    return [[name for name in group if name in names] for group in groups]
