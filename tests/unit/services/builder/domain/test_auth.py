from __future__ import annotations

import pytest

from services.builder.domain.auth import HUB_KEY, credentials, registry
from shared.contracts.image_store import Credentials


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        ("busybox:1", "docker.io"), ("a/b", "docker.io"), ("localhost/a", "localhost"), ("r:5000/a", "r:5000"),
        ("r.example/a/b@sha256:1", "r.example"), ("index.docker.io/a", "docker.io"), ("UPPER/a", "UPPER"),
    ],
)  # fmt: skip
def test_registries(reference: str, host: str) -> None:
    assert registry(reference) == host


def test_whose_credentials() -> None:
    known = {HUB_KEY: Credentials(username="hub"), "r:5000": Credentials(username="r"),
             "https://x.example/v1/": Credentials(username="x")}  # fmt: skip
    found = [credentials(known, each).username for each in ("busybox", "r:5000/a", "x.example/a", "other.example/a")]
    assert found == ["hub", "r", "x", ""]
