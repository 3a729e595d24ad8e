"""Whether this host may run what others would start again if it were lost.

The scheduler renews the host's lease at the hubs and leaves in `<run_dir>/lease` until when it holds; the executor
marks there which containers depend on it; and the supervisor's fence ends these when the time has passed, whoever
else lives. Times are nanoseconds of CLOCK_BOOTTIME, which goes on while the machine is suspended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from shared.config import Settings

SECOND = 1_000_000_000
RENEW = 1.0
"""Seconds between two renewals."""
GUARD = 11.0
"""Seconds after the begin of the last renewal at which the fence ends the marked containers. Longer than the hubs take
to agree on another leader when one of them has died (the broker's elections: 4 to 9 s)."""
LOST = 12.5
"""Seconds of silence, by the clock of who listens, after which a host counts as lost: the margin is the fence's."""
_MARKS = "marks"


class Tenure(msgspec.Struct, frozen=True):
    """`number` is another one each time the lease was lost in between; `deadline`: until when it surely holds."""

    number: int
    deadline: int


class Desk:
    """The folder where a host's processes tell each other of its lease."""

    def __init__(self, settings: Settings) -> None:
        self.path = settings.run_path / "lease"

    def write(self, tenure: Tenure) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(self.path / "tenure", msgspec.json.encode(tenure))

    def tenure(self) -> Tenure | None:
        """As written last; None when this host has held no lease since it started."""
        try:
            return msgspec.json.decode((self.path / "tenure").read_bytes(), type=Tenure)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def held(self, now: int) -> int:
        """The number of the present tenure, 0 when there is none now."""
        found = self.tenure()
        return found.number if found is not None and now < found.deadline else 0

    def mark(self, container: str, group: str) -> None:
        """A container, by its control group, ends with the lease."""
        (self.path / _MARKS).mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(self.path / _MARKS / container, group.encode())

    def unmark(self, container: str) -> None:
        (self.path / _MARKS / container).unlink(missing_ok=True)

    def clear(self) -> None:
        """No container depends on a lease: this host is in no cluster."""
        for container, _ in self.marked():
            self.unmark(container)

    def marked(self) -> Iterator[tuple[str, str]]:
        """Containers and their control groups."""
        try:
            names = os.listdir(self.path / _MARKS)
        except FileNotFoundError:
            return
        for name in names:
            if not name.startswith("."):
                try:
                    yield name, (self.path / _MARKS / name).read_text()
                except FileNotFoundError:
                    continue


def now() -> int:
    """Nanoseconds since boot, suspended time too."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    os.replace(temporary, path)
