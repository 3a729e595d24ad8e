from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from shared.contracts import CONTRACTS
from tools.contracts import documents

VOLUME = {"volume": CONTRACTS["volume"]}


def test_the_checked_in_documents_are_fresh_and_keep_the_last_release():
    assert documents.complaints(CONTRACTS, documents.FOLDER) == []


def test_generating_writes_what_changed_and_removes_what_is_no_more(tmp_path):
    assert [path.name for path in documents.generate(VOLUME, tmp_path)] == ["volume.v1.json"]
    assert documents.generate(VOLUME, tmp_path) == []
    assert documents.complaints(VOLUME, tmp_path) == []
    assert [path.name for path in documents.generate({}, tmp_path)] == ["volume.v1.json"]
    assert list(tmp_path.iterdir()) == []


def test_a_changed_declaration_makes_its_document_stale(tmp_path):
    documents.generate(VOLUME, tmp_path)
    smaller = {"volume": replace(CONTRACTS["volume"], endpoints=CONTRACTS["volume"].endpoints[1:])}
    assert documents.complaints(smaller, tmp_path) == ["volume.v1.json: stale; run: python -m tools.contracts generate"]
    assert documents.complaints({}, tmp_path) == ["volume.v1.json: stale; run: python -m tools.contracts generate"]


def test_what_was_released_must_be_kept(tmp_path):
    documents.generate(VOLUME, tmp_path)
    documents.release(VOLUME, tmp_path)
    smaller = {"volume": replace(CONTRACTS["volume"], endpoints=CONTRACTS["volume"].endpoints[1:])}
    documents.generate(smaller, tmp_path)
    assert documents.complaints(smaller, tmp_path) == [
        "volume.v1.json: create is gone",
        "volume.v1.json: create.reply is gone",
    ]


def test_a_whole_contract_cannot_go(tmp_path):
    documents.release(VOLUME, tmp_path)
    assert "volume.v1.json: create is gone" in documents.complaints({}, tmp_path)


def test_the_command_prints_permissions():
    root = Path(__file__).parents[4]
    done = subprocess.run(
        [sys.executable, "-m", "tools.contracts", "permissions", "volume"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "$KV.shoal.volumes.*.*" in done.stdout
