"""What the tests make once and keep, outside of the checkout."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
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


def kept_file(*name: str, make: Callable[[Path], Path]) -> Path:
    """A file in the cache; where it is not there yet, `make` is given an empty folder and returns where it made it."""
    with kept(*name) as path:
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                make(Path(folder)).rename(path)
    return path
