from __future__ import annotations

from shared.container_events import container_event, exec_event
from shared.contracts.container import ContainerConfig, ContainerSpec, HostConfig

SPEC = ContainerSpec(
    id="i" * 64,
    name="web",
    created=1,
    config=ContainerConfig(image="busybox", labels={"a": "b", "name": "label"}),
    host_config=HostConfig(),
)


def test_attributes_are_labels_image_and_name() -> None:
    event = container_event(SPEC, "rename", 7, oldName="/old")
    assert (event.type, event.action, event.actor, event.time_ns) == ("container", "rename", "i" * 64, 7)
    assert event.attributes == {"a": "b", "oldName": "/old", "image": "busybox", "name": "web"}


def test_execs_tell_their_command_and_id() -> None:
    event = exec_event(SPEC, "exec_create", ("sh", "-c", "ls -l"), "e1", 7)
    assert (event.action, event.attributes["execID"], event.time_ns) == ("exec_create: sh -c ls -l", "e1", 7)
    assert exec_event(SPEC, "exec_start", ("ls",), "e1", 7).action == "exec_start: ls "
