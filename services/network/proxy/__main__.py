"""`python -m services.network.proxy FOLDER LISTENER CONNECTION`: with the descriptors of its own listening socket and
of the first service's connection; the folder only tells whose proxy it is.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import sys

from .keeper import Keeper
from .poller import Poller


def main() -> None:
    """Runs until there is nothing to keep."""
    listener, first = (socket.socket(fileno=int(number)) for number in sys.argv[2:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for whoever runs the service on a terminal
    with contextlib.suppress(ValueError, OSError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.chdir("/")
    poller = Poller()
    Keeper(poller, listener, first)
    poller.run()


if __name__ == "__main__":
    main()
