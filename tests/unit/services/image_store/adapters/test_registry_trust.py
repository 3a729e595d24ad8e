from __future__ import annotations

from pathlib import Path

import pytest

from services.image_store.adapters.registry_trust import trust_of
from services.image_store.adapters.registry_wire import Trust
from shared.errors import InvalidArgument


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "r.example:5000").mkdir()
    return tmp_path


def test_a_registry_without_a_folder(tmp_path: Path) -> None:
    assert trust_of(tmp_path, "r.example:5000", verified=True) == Trust()
    assert trust_of(tmp_path / "none", "r.example:5000", verified=True) == Trust()


def test_authorities_and_our_own_certificates(folder: Path) -> None:
    for name in ("ca.crt", "more.crt", "client.cert", "client.key", "README"):
        (folder / "r.example:5000" / name).write_text(name)
    assert trust_of(folder, "r.example:5000", verified=True) == Trust(
        authorities=("ca.crt", "more.crt"), certificates=(("client.cert", "client.key"),)
    )
    assert trust_of(folder, "r.example:5000", verified=False) == Trust(verified=False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("client.cert", "missing key client.key for client certificate client.cert. CA certificates must use"),
        ("client.key", "missing client certificate client.cert for key client.key"),
    ],
)
def test_half_a_pair(folder: Path, name: str, text: str) -> None:
    (folder / "r.example:5000" / name).write_text(name)
    with pytest.raises(InvalidArgument, match=text):
        trust_of(folder, "r.example:5000", verified=True)
