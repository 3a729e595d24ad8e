"""Changing stored limits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.update import live_limits, updated
from shared.contracts.container import HostConfig, Resources, RestartPolicy
from shared.errors import Conflict


def test_what_is_not_named_stays() -> None:
    stored = HostConfig(memory=100, memory_swap=200, cpu_shares=5, binds=("/a:/b",))
    after = updated(stored, Resources(cpu_shares=7, pids_limit=0), None)
    assert after == msgspec.structs.replace(stored, cpu_shares=7, pids_limit=0)


def test_the_policy() -> None:
    policy = RestartPolicy("on-failure", 3)
    assert updated(HostConfig(), Resources(), policy).restart_policy == policy
    with pytest.raises(Conflict, match="AutoRemove is enabled"):
        updated(HostConfig(auto_remove=True), Resources(), policy)
    assert updated(HostConfig(auto_remove=True), Resources(), RestartPolicy("no")).auto_remove


@pytest.mark.parametrize(
    ("stored", "asked", "text"),
    [
        ({"cpu_period": 1000}, {"nano_cpus": 5}, "Nano CPUs cannot be updated as CPU Period has already been set"),
        ({"cpu_quota": 1000}, {"nano_cpus": 5}, "Nano CPUs cannot be updated as CPU Quota has already been set"),
        ({"nano_cpus": 5}, {"cpu_period": 1000}, "CPU Period cannot be updated as NanoCPUs has already been set"),
        ({"nano_cpus": 5}, {"cpu_quota": 1000}, "CPU Quota cannot be updated as NanoCPUs has already been set"),
        ({"memory": 10, "memory_swap": 20}, {"memory": 21}, "should be smaller than already set memoryswap limit"),
    ],
)
def test_contradictions(stored: dict[str, Any], asked: dict[str, Any], text: str) -> None:
    with pytest.raises(Conflict, match=text):
        updated(HostConfig(**stored), Resources(**asked), None)


def test_memory_and_swap_go_together() -> None:
    stored = HostConfig(memory=100, memory_swap=200)
    asked = Resources(memory=150)
    live = live_limits(updated(stored, asked, None), asked)
    assert (live.memory, live.memory_swap) == (150, 200)
    assert live_limits(stored, Resources(cpu_shares=3)) == Resources(cpu_shares=3)


@given(st.builds(Resources, cpu_shares=st.integers(0), cpuset_cpus=st.sampled_from(("", "0", "0-1"))))
def test_asking_twice_changes_nothing_more(asked: Resources) -> None:
    once = updated(HostConfig(memory=5), asked, None)
    assert updated(once, asked, None) == once
