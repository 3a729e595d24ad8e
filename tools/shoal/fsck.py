"""`shoal fsck`."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
import typer

from shared import config
from shared.errors import ShoalError

from .options import Config

SOUND, DAMAGED, UNKNOWN = 0, 1, 2

Repair = Annotated[bool, typer.Option("--repair", help="Finish or forget what is not whole; the engine must be down.")]
Quick = Annotated[bool, typer.Option("--quick", help="Do not read the blobs: what is there counts.")]
AsJson = Annotated[bool, typer.Option("--json", help="One object {sound, online, names, repaired, checked}.")]


def command(config_file: Config = None, repair: Repair = False, quick: Quick = False, as_json: AsJson = False) -> None:
    """Check the image store: every blob against its digest, images, unpacked layers, containers' snapshots, names.

    May be run while the engine works: what is under way then is not reported. Reading all blobs takes about a second
    for each gigabyte; --quick leaves that out. Names of images are records of the broker: they are compared while
    the engine runs.

    `damage` is content that is lost or wrong. `unfinished` is what interrupted work left; the store finishes or
    forgets it by itself when the engine starts. --repair does both at once: what can be made again is, an image that
    is not whole is forgotten (its name stays, so that a pull brings it back), and what containers wrote is never
    touched.

    Exit code 0: sound. 1: there is damage, or --repair left some. 2: it could not be checked.
    """
    from . import store_check  # here: the other commands need nothing of the image store

    settings = config.load(config_file)
    try:
        report = (store_check.repaired if repair else store_check.checked)(settings, quick)
    except (ShoalError, PermissionError) as error:
        print(f"shoal fsck: {error}", file=sys.stderr)
        raise typer.Exit(UNKNOWN) from None
    print(msgspec.json.encode(report).decode() if as_json else store_check.text(report))
    raise typer.Exit(SOUND if report.sound else DAMAGED)
