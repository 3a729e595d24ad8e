from __future__ import annotations

import io
import tarfile

import pytest

from tools.bench import archive


def test_the_archive_has_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "SIZE", 2_000_000)
    with tarfile.open(fileobj=io.BytesIO(archive.archive())) as made:
        assert [(member.name, member.size) for member in made] == [(archive.NAME, 2_000_000)]


def test_rates_are_millions_of_bytes() -> None:
    assert archive.rate(0) > 0
