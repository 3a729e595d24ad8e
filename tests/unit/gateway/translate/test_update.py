from __future__ import annotations

import pytest

from gateway.http.version import Version
from gateway.translate.update import update_request
from shared.contracts.container import Resources, RestartPolicy
from shared.errors import InvalidArgument


def test_limits_and_policy() -> None:
    data = {"memory": 5, "NanoCPUs": 7, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}, "Binds": 1}
    asked, warnings = update_request("c", data, Version(1, 51))
    assert (asked.id, asked.resources) == ("c", Resources(memory=5, nano_cpus=7))
    assert asked.restart_policy == RestartPolicy("on-failure", 2)
    assert warnings == []


def test_a_policy_without_a_name_is_none() -> None:
    assert update_request("c", {"RestartPolicy": {"Name": ""}}, Version(1, 51))[0].restart_policy is None
    assert update_request("c", {}, Version(1, 51))[0].restart_policy is None
    for policy in ({}, {"MaximumRetryCount": 2}):
        assert update_request("c", {"RestartPolicy": policy}, Version(1, 51))[0].restart_policy is None


@pytest.mark.parametrize(
    ("sent", "version", "asked"),
    [(-5, Version(1, 51), 0), (0, Version(1, 40), 0), (9, Version(1, 51), 9), (9, Version(1, 39), None)],
)
def test_process_limits(sent: int, version: Version, asked: int | None) -> None:
    assert update_request("c", {"PidsLimit": sent}, version)[0].resources.pids_limit == asked


def test_what_older_kernels_had_is_warned_about() -> None:
    assert "kernel memory" in update_request("c", {"KernelMemory": 5}, Version(1, 41))[1][0]


def test_wrong_types_are_named() -> None:
    with pytest.raises(InvalidArgument, match=r"UpdateConfig\.Memory: Expected `int`"):
        update_request("c", {"Memory": "x"}, Version(1, 51))
