"""What the tests make once and keep, outside of the checkout."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("SHOAL_TEST_CACHE", "/var/cache/shoal-tests"))


@contextmanager
def kept(*name: str) -> Iterator[Path]:
    """A path in the cache; what is made there inside the block is made by one process at a time.

    The block has to make it whole by one rename, and to do nothing where it is there already.
    """
    path = CACHE.joinpath(*name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path
