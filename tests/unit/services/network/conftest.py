"""Every test of an adapter has a host's network for itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.host_network import own_host


@pytest.fixture
def host_network() -> Iterator[None]:
    """A network namespace stands for the host while the test runs; nothing of the machine's own is touched."""
    with own_host():
        yield
