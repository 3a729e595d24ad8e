"""One container's whole life again and again: afterwards the engine holds what it held before."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from shared.config import Settings
from tools.bench.client import Api

from .census import MEMORY, Counts, leaks, settled

MEMORY_SLACK = 4 << 10
"""kB that a process may have more afterwards whatever the number of cycles: heaps are not given back to the page."""
MEMORY_A_CYCLE = 2
"""kB of a process that one cycle may leave: traces and events are kept, each for a time and to a size."""
BROKER_SLACK = 32 << 10
"""The broker's heap is collected every two minutes, and its caches of stored messages are dropped when idle."""
DESCRIPTORS = 3
"""Of each process: connections and files open at the moment of the count."""
THREADS = 8
"""Of each process: pools of threads grow as they are used, to a size."""


@dataclass
class Outcome:
    """What the cycles left behind, and how long they took."""

    times: int
    seconds: float
    before: Counts = field(default_factory=dict)
    after: Counts = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)


def run(settings: Settings, image: str, times: int, warm: int) -> Outcome:
    """`warm` cycles, a census, `times` cycles, another. The image must be there; names begin with `cycle-`."""
    api = Api(str(settings.socket_path))
    try:
        for number in range(warm):
            cycle(api, image, number)
        before = settled(settings, restless(settings))
        begun = time.monotonic()
        for number in range(times):
            cycle(api, image, number)
        seconds = time.monotonic() - begun
    finally:
        api.close()
    after = settled(settings, lambda counts: leaks(before, counts, slack(before, times)))
    return Outcome(times, seconds, before, after, leaks(before, after, slack(before, times)))


def restless(settings: Settings) -> Callable[[Counts], bool]:
    """Finds fault as long as two counts, one after the other, differ (memory apart)."""
    last: list[Counts] = [{}]

    def differs(counts: Counts) -> bool:
        steady = {name: count for name, count in counts.items() if not name.startswith(MEMORY)}
        previous, last[0] = last[0], steady
        return previous != last[0]

    return differs


def slack(before: Iterable[str], times: int) -> dict[str, int]:
    """How much more of each there may be."""
    rules = {"descriptors": DESCRIPTORS, "threads": THREADS, MEMORY: MEMORY_SLACK + times * MEMORY_A_CYCLE}
    allowed = {name: more for name in before for begin, more in rules.items() if name.startswith(begin)}
    return {**allowed, f"{MEMORY} of broker": BROKER_SLACK + times * MEMORY_A_CYCLE}


def cycle(api: Api, image: str, number: int) -> None:
    """A network and a volume, a container with both and a published port: made, started, used, ended, removed."""
    stem = f"cycle-{number}"
    network = api.json("POST", "/networks/create", {"Name": stem, "Labels": {"a": "b"}})["Id"]
    api.call("POST", "/volumes/create", {"Name": stem})
    host = {
        "Binds": [f"{stem}:/named"],
        "PortBindings": {"80/tcp": [{"HostPort": ""}]},
        "NetworkMode": stem if number % 2 else "bridge",
        "Tmpfs": {"/scratch": ""},
        "Memory": 64 << 20,
    }
    body = {"Image": image, "Cmd": ["sleep", "1000"], "HostConfig": host, "Volumes": {"/anonymous": {}}}
    id = api.json("POST", f"/containers/create?name={stem}", body)["Id"]
    api.call("POST", f"/containers/{id}/start")
    if not number % 2:
        api.call("POST", f"/networks/{network}/connect", {"Container": id})
    _exec(api, id)
    api.call("POST", f"/containers/{id}/pause")
    api.call("POST", f"/containers/{id}/unpause")
    api.call("GET", f"/containers/{id}/logs?stdout=1&stderr=1")
    api.call("POST", f"/containers/{id}/rename?name={stem}-renamed")
    api.call("POST", f"/images/{image}/tag?repo={stem}")
    api.call("DELETE", f"/images/{stem}")
    api.call("POST", f"/containers/{id}/restart?t=0")
    api.call("POST", f"/containers/{id}/kill")
    api.call("POST", f"/containers/{id}/wait")
    api.call("DELETE", f"/containers/{id}?v=1&force={number % 3 and 1}")
    api.call("DELETE", f"/volumes/{stem}")
    api.call("DELETE", f"/networks/{network}")


def _exec(api: Api, id: str) -> None:
    made = api.json("POST", f"/containers/{id}/exec", {"Cmd": ["echo", "x"], "AttachStdout": True})["Id"]
    try:
        api.call("POST", f"/exec/{made}/start", {})
    except http.client.HTTPException:
        pass  # the raw stream ends with its connection
    api.call("GET", f"/exec/{made}/json")
