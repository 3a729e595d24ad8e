"""Options that several sub-commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None,
    typer.Option("--config", envvar="SHOAL_CONFIG", help="Settings file; else /etc/shoal/shoal.toml."),
]
