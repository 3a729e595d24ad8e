"""Engine services that end while they have nothing to do; the first call that nobody hears starts them again.

Whoever calls in vain leaves a file in the folder of the engine's records, and the supervisor watches that folder.
"""

from __future__ import annotations

from pathlib import Path

from shared import cluster
from shared.config import Settings

CALLERS = {"builder": ("gateway",)}
"""Who may rest, and who calls it. Only processes of ours on this host leave the file: no caller may be another program,
and in a cluster, where other hosts call, nobody rests."""
SUFFIX = ".wanted"


def rests(settings: Settings, service: str) -> bool:
    """Whether a service, started by the supervisor, ends while it has nothing to do."""
    if service not in CALLERS or {service, *CALLERS[service]} & set(settings.replaced):
        return False
    return not cluster.role(settings.state_path)


def records(settings: Settings) -> Path:
    """The folder of the records of the engine's processes."""
    return settings.run_path / "engine"


def want(settings: Settings, service: str) -> bool:
    """Has a service started if it rests; False when it is none that does."""
    if not rests(settings, service):
        return False
    try:
        (records(settings) / f"{service}{SUFFIX}").touch()
    except OSError:  # there is no supervisor here, or no space: nobody starts it
        return False
    return True


def take(folder: Path) -> list[str]:
    """The services that were wanted since it was last asked."""
    found = list(folder.glob(f"*{SUFFIX}"))
    for path in found:
        path.unlink(missing_ok=True)
    return [path.stem for path in found]
