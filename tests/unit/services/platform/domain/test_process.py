"""The process of a workload and of an exec."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain.capabilities import DEFAULT, KNOWN
from services.platform.domain.facts import Facts
from services.platform.domain.process import exec_process, granted, process, rlimits
from services.platform.domain.users import Ids
from shared.contracts.container import Ulimit
from shared.contracts.platform import Process
from shared.errors import InvalidArgument

FACTS = Facts(bounding=frozenset(KNOWN), hard_limits={"RLIMIT_NOFILE": 1000})
UNLIMITED = (1 << 64) - 1


def test_what_was_asked_for_is_in_it() -> None:
    wanted = Process(args=("a", "b"), env=("K=v",), cwd="", tty=True, console_size=(24, 80), oom_score_adj=5)
    made = process(wanted, Ids(1, 2, (2, 3)), FACTS)
    assert made["args"] == ["a", "b"]
    assert made["cwd"] == "/"
    assert made["user"] == {"uid": 1, "gid": 2, "additionalGids": [2, 3]}
    assert made["consoleSize"] == {"height": 24, "width": 80}
    assert set(made["capabilities"]["bounding"]) == set(DEFAULT)
    assert "ambient" not in made["capabilities"]
    assert made["oomScoreAdj"] == 5


def test_init_stands_before_the_command() -> None:
    assert process(Process(args=("a",)), Ids(), FACTS, init=True)["args"] == ["/sbin/docker-init", "--", "a"]


def test_a_terminal_without_size_has_none() -> None:
    assert "consoleSize" not in process(Process(args=("a",), tty=True), Ids(), FACTS)


def test_no_command_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="no command specified"):
        process(Process(args=()), Ids(), FACTS)


def test_limits_end_at_the_engines_own() -> None:
    (limit,) = rlimits([Ulimit(name="nofile", soft=5000, hard=-1)], FACTS)
    assert limit == {"type": "RLIMIT_NOFILE", "soft": 1000, "hard": 1000}
    free = Facts(hard_limits={"RLIMIT_NOFILE": 1000}, raise_limits=True)
    assert rlimits([Ulimit(name="nofile", soft=5000, hard=-1)], free)[0]["hard"] == UNLIMITED


@given(st.integers(-1, 1 << 40), st.integers(-1, 1 << 40), st.integers(-1, 1 << 40))
def test_a_limit_is_never_above_its_hard_one(soft: int, hard: int, own: int) -> None:
    try:
        (limit,) = rlimits([Ulimit(name="core", soft=soft, hard=hard)], Facts(hard_limits={"RLIMIT_CORE": own}))
    except InvalidArgument:
        assert soft < 0 <= hard or soft > hard >= 0
        return
    assert 0 <= limit["soft"] <= limit["hard"] <= (own if own >= 0 else UNLIMITED)


def test_open_files_are_as_the_engine_got_them_unless_asked() -> None:
    facts = Facts(open_files=(1024, 4096))
    assert rlimits((), facts) == [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 4096}]
    assert len(rlimits([Ulimit(name="nofile", soft=5, hard=5)], facts)) == 1


def test_limits_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="error setting rlimit type 7: invalid argument"):
        rlimits([Ulimit(name="nofile", soft=10, hard=1)], FACTS)
    with pytest.raises(InvalidArgument, match="invalid ulimit type: foo"):
        rlimits([Ulimit(name="foo", soft=1, hard=1)], FACTS)


def test_an_exec_keeps_its_workloads_limits_and_capabilities() -> None:
    base: dict[str, Any] = {
        "capabilities": {"bounding": ["CAP_CHOWN"]}, "noNewPrivileges": True, "rlimits": ["r"], "oomScoreAdj": 7,
        "apparmorProfile": "p",
    }  # fmt: skip
    made = exec_process(Process(args=("a",), cwd="/x"), base, Ids(), FACTS)
    assert made["capabilities"] == {name: ["CAP_CHOWN"] for name in ("bounding", "effective", "permitted")}
    assert made["noNewPrivileges"] is True
    assert (made["rlimits"], made["oomScoreAdj"], made["apparmorProfile"]) == (["r"], 7, "p")
    assert made["cwd"] == "/x"


def test_an_exec_begins_in_a_folder_of_an_absolute_path() -> None:
    with pytest.raises(InvalidArgument, match=r"^OCI runtime exec failed: exec failed: Cwd must be an absolute path: "):
        exec_process(Process(args=("a",), cwd="relative"), {}, Ids(), FACTS)


def test_a_privileged_exec_has_all_capabilities() -> None:
    made = exec_process(Process(args=("a",), privileged=True), {"capabilities": {}}, Ids(), FACTS)
    assert set(made["capabilities"]["effective"]) == set(KNOWN)
    assert set(granted(Process(args=("a",), privileged=True), FACTS)) == set(KNOWN)


def test_only_root_holds_capabilities_when_it_begins() -> None:
    made = process(Process(args=("a",)), Ids(1000, 1000, ()), FACTS)["capabilities"]
    assert set(made["bounding"]) == set(DEFAULT)
    assert (list(made["effective"]), list(made["permitted"])) == ([], [])
    by_root = exec_process(Process(args=("a",)), {"capabilities": made}, Ids(), FACTS)
    assert set(by_root["capabilities"]["effective"]) == set(DEFAULT)
