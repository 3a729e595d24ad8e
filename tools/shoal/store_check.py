"""What `shoal fsck` does: looks at the image store, mends it, and says what it found."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from services.image_store.operations.fsck import Check, Checked, Finding, names_without_images
from services.image_store.operations.fsck_repair import Repairing
from shared.config import Settings
from shared.contracts.image_store import REFERENCES
from shared.errors import FailedPrecondition, NotFound, ShoalError
from shared.service import connect

from .processes import processes

STORE = "image_store"
_REMEDIES = {
    "remove": "shoal down; shoal fsck --repair     # takes it away, and forgets what needs it",
    "forget": "shoal down; shoal fsck --repair     # forgets the image; then pull, load or build it again",
    "index": "shoal down; shoal fsck --repair     # makes it anew from the manifests that are there",
    "unpack": "restart the engine (shoal down; shoal up): it unpacks the layer from its blob",
}


class Report(msgspec.Struct, kw_only=True):
    """What the command says by `--json`. `names`: were they compared; `sound`: no damage is left."""

    sound: bool
    online: bool
    names: bool
    repaired: list[Finding]
    checked: Checked


def _check(settings: Settings, quick: bool) -> Check:
    root = settings.state_path / STORE
    if not root.is_dir():
        raise NotFound(f"{root} is no image store; is state_dir set as for the engine?")
    return Check(root, not quick, _progress if sys.stderr.isatty() else lambda done: None)


def _progress(done: str) -> None:
    print(f"\r{done} ", end="", file=sys.stderr, flush=True)


def _runs(settings: Settings) -> bool:
    return any(one.name == STORE and one.pid for one in processes(settings))


def repaired(settings: Settings, quick: bool) -> Report:
    """The store mended, and what is left. `FailedPrecondition` while the engine runs."""
    if _runs(settings):
        raise FailedPrecondition("the engine runs: stop it first by `shoal down` (containers go on)")
    work = Repairing(_check(settings, quick))
    left = asyncio.run(work.run())
    return Report(sound=_sound(left), online=False, names=False, repaired=work.mended, checked=left)


def _sound(checked: Checked) -> bool:
    return not any(each.level == "damage" for each in checked.findings)


def checked(settings: Settings, quick: bool) -> Report:
    """The store as it is. Beside a running engine only what a second look sees too counts."""
    online = _runs(settings)
    check = _check(settings, quick)
    done = check.run()
    named = asyncio.run(_names(settings)) if online else None
    if online:
        done.findings = [each for each in done.findings if each.level == "damage" or each.repair == "unpack"]
        done.findings = _still(settings, done.findings)
    if named is not None:
        done.findings += names_without_images(named, check.images.values())
    return Report(sound=_sound(done), online=online, names=named is not None, repaired=[], checked=done)


def _still(settings: Settings, findings: list[Finding]) -> list[Finding]:
    """Those that a second look sees too: the store may have been at work there during the first."""
    if not findings:
        return []
    wrong = [each for each in findings if each.text.startswith("its bytes")]
    again = _check(settings, quick=not wrong).run().findings
    return [each for each in findings if each in again]


async def _names(settings: Settings) -> list[tuple[str, str]] | None:
    """This host's names of images and the images they are of; None without a broker to ask."""
    try:
        bus, state = await connect(settings, "tool")
    except ShoalError:
        return None
    try:
        view = await state.view(REFERENCES)
        found = [(parts[1], entry.value.image_id) for parts, entry in view.items(REFERENCES) if parts[0] == bus.node]
    finally:
        await state.close()
        await bus.close()
    return found


def text(report: Report) -> str:
    """The report for people: what was looked at, then each finding with its remedy below it."""
    done = report.checked
    lines = [
        f"{done.images} images, {done.blobs} blobs ({done.bytes / 1e6:.1f} MB), {done.layers} unpacked layers, "
        f"{done.snapshots} snapshots of containers"
    ]
    if not report.names:
        lines.append("names of images were not compared: they are asked of the broker while the engine runs")
    lines += [f"{'repaired':12}{each.subject}: {each.text}" for each in report.repaired]
    for each in done.findings:
        lines.append(f"{each.level:12}{each.subject}: {each.text}")
        if each.repair and (each.level == "damage" or report.online):
            lines.append(f"{'':12}-> {_REMEDIES[each.repair]}")
    if any(each.level == "unfinished" for each in done.findings) and not report.online:
        lines.append("what is unfinished the store finishes or forgets when the engine starts: shoal up")
    lines.append("sound" if report.sound else "DAMAGED")
    return "\n".join(lines)
