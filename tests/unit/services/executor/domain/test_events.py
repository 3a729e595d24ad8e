from __future__ import annotations

from services.executor.domain.events import died
from services.executor.domain.status import Exit
from shared.contracts.container import ContainerConfig, ContainerSpec, HostConfig

SPEC = ContainerSpec(
    id="i" * 64,
    name="web",
    created=1,
    config=ContainerConfig(image="busybox", labels={"a": "b", "name": "label"}),
    host_config=HostConfig(),
)


def test_die_tells_code_and_duration() -> None:
    event = died(SPEC, Exit(137, at=12_900_000_000), started_at=2_000_000_000, at=1)
    assert event.attributes["exitCode"] == "137"
    assert event.attributes["execDuration"] == "10"
    assert died(SPEC, Exit(0, at=1), started_at=5, at=1).attributes["execDuration"] == "0"
