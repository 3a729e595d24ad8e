from __future__ import annotations

from services.builder.domain.auth import HUB_KEY, credentials
from shared.contracts.image_store import Credentials


def test_whose_credentials() -> None:
    known = {HUB_KEY: Credentials(username="hub"), "r:5000": Credentials(username="r"),
             "https://x.example/v1/": Credentials(username="x")}  # fmt: skip
    found = [
        credentials(known, each).username for each in ("index.docker.io/a", "r:5000/a", "x.example/a", "r.example/a")
    ]
    assert found == ["hub", "r", "x", ""]
