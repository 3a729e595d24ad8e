"""What an exec's folder gets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from services.platform.adapters.exec_spec import prepare
from services.platform.domain.facts import Facts
from shared.contracts.platform import ExecRequest, Process
from shared.errors import Conflict, InvalidArgument


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    process = {"capabilities": {"bounding": ["CAP_KILL"]}, "rlimits": [], "oomScoreAdj": 5, "noNewPrivileges": True}
    config = {"process": process, "linux": {"namespaces": [{"type": "pid"}]}, "annotations": {"a": "b"}}
    (tmp_path / "config.json").write_bytes(msgspec.json.encode(config))
    return tmp_path


def test_the_programs_process(bundle: Path) -> None:
    request = ExecRequest(id="c", exec_id="e", process=Process(args=("id",), env=("A=1",), user="root"))
    made = prepare(bundle / "exec", request, bundle, os.getpid(), Facts())
    assert json.loads((bundle / "exec/process.json").read_text()) == json.loads(msgspec.json.encode(made.spec))
    assert made.spec["args"] == ["id"]
    assert made.spec["capabilities"]["effective"] == ["CAP_KILL"]
    assert (made.spec["oomScoreAdj"], made.spec["noNewPrivileges"]) == (5, True)
    assert (made.ids.uid, made.ids.home) == (0, "/root")
    assert made.config.linux.namespaces == [{"type": "pid"}]


def test_a_container_that_has_ended(bundle: Path) -> None:
    request = ExecRequest(id="c", exec_id="e", process=Process(args=("id",)))
    with pytest.raises(Conflict, match="Container c is not running"):
        prepare(bundle / "exec", request, bundle, 1 << 22, Facts())


def test_nothing_is_made_for_nobody(bundle: Path) -> None:
    request = ExecRequest(id="c", exec_id="e", process=Process(args=("id",), user="no-such-user"))
    with pytest.raises(InvalidArgument, match="unable to find user no-such-user"):
        prepare(bundle / "exec", request, bundle, os.getpid(), Facts())
    assert not (bundle / "exec").exists()
