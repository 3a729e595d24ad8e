"""The mover's start: one line of configuration, then the side that it is to be."""

from __future__ import annotations

import gc
import os
import signal
import socket

from . import source, target
from .control import DESCRIPTOR, Control


def main() -> None:
    """Runs until its move is over; exit code 1 when that is no success."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    gc.disable()  # nothing here makes cycles
    control = Control(socket.socket(fileno=DESCRIPTOR))
    config = control.ask()
    if config is not None:
        {"source": source.serve, "target": target.serve}[config["side"]](control, config)
    os._exit(0)  # the interpreter would tidy up for 6 ms, while criu restores
