from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.platform.domain.joining import Config, can_be_joined, wants_filter
from services.platform.domain.spec import BPF_ANNOTATION


def config(linux: dict[str, Any] | None = None, annotations: dict[str, str] | None = None, **process: str) -> Config:
    data = {"process": process, "linux": linux or {}, "annotations": annotations or {}, "root": {"path": "/"}}
    return msgspec.json.decode(msgspec.json.encode(data), type=Config)


def test_a_filter_is_compiled_already_or_not() -> None:
    assert not wants_filter(config())
    assert wants_filter(config({"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"}}))
    assert wants_filter(config(annotations={BPF_ANNOTATION: "AA=="}))


def test_the_usual_workload_can_be_joined() -> None:
    assert can_be_joined(config({"namespaces": [{"type": "pid"}, {"type": "network", "path": "/x"}], "seccomp": {}}))


@pytest.mark.parametrize(
    ("linux", "process"),
    [
        ({"namespaces": [{"type": "user"}]}, {}),
        ({"seccomp": {"flags": ["SECCOMP_FILTER_FLAG_LOG"]}}, {}),
        ({"seccomp": {"listenerPath": "/x"}}, {}),
        ({}, {"apparmorProfile": "docker-default"}),
        ({}, {"selinuxLabel": "a:b:c"}),
    ],
)
def test_what_is_left_to_the_runtime(linux: dict[str, Any], process: dict[str, Any]) -> None:
    assert not can_be_joined(config(linux, **process))
