"""Identifiers: their form, and the one of the host."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from shared import ids


def test_the_form_of_an_identifier() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", ids.new_id())
    assert re.fullmatch(r"[0-9a-f]{32}", ids.new_token())


def test_identifiers_differ_even_in_what_people_see() -> None:
    assert len({ids.new_id()[: ids.SHORT] for _ in range(1000)}) == 1000
    assert len({ids.new_token() for _ in range(1000)}) == 1000


def test_a_host_gets_its_identifier_once(tmp_path: Path) -> None:
    first = ids.node_id(tmp_path / "state")
    assert re.fullmatch(r"[a-z0-9]{25}", first)
    assert ids.node_id(tmp_path / "state") == first
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["node-id"]


def test_hosts_differ(tmp_path: Path) -> None:
    assert ids.node_id(tmp_path / "one") != ids.node_id(tmp_path / "two")


def test_the_state_folder_is_closed_to_others(tmp_path: Path) -> None:
    ids.node_id(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) & 0o007 == 0


def test_an_identifier_that_an_operator_wrote_is_kept(tmp_path: Path) -> None:
    (tmp_path / "node-id").write_text("node7\n")
    assert ids.node_id(tmp_path) == "node7"


def test_the_first_of_several_starters_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another starter's identifier appears between the look and the link."""
    path, link = tmp_path / "node-id", os.link

    def late(source: Path, target: Path) -> None:
        path.write_text("winner")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert ids.node_id(tmp_path) == "winner"
    assert list(tmp_path.iterdir()) == [path]
