from __future__ import annotations

import json

import pytest

from gateway.http.version import Version
from gateway.translate import event as shown
from gateway.translate.filters import Filters
from shared.contracts.common import DockerEvent

START = DockerEvent(
    type="container",
    action="start",
    actor="c1d",
    attributes={"image": "busybox:1", "name": "web", "a": "b"},
    time_ns=1_700_000_000_000_000_005,
)
EXEC = DockerEvent(type="container", action="exec_create: sh", actor="c1d", attributes={"name": "web"})
TAG = DockerEvent(type="image", action="tag", actor="sha256:ab", attributes={"name": "busybox:1"})


def test_old_fields_until_151() -> None:
    old = shown.show(START, Version(1, 51))
    assert (old["status"], old["id"], old["from"]) == ("start", "c1d", "busybox:1")
    assert (old["time"], old["timeNano"], old["scope"]) == (1_700_000_000, 1_700_000_000_000_000_005, "local")
    new = shown.show(START, Version(1, 52))
    assert set(new) == {"Type", "Action", "Actor", "scope", "time", "timeNano"}
    assert "from" not in shown.show(TAG, Version(1, 51))
    assert "id" not in shown.show(DockerEvent(type="image", action="prune", actor=""), Version(1, 51))


@pytest.mark.parametrize(
    ("filters", "events"),
    [
        ({}, {"start", "exec_create: sh", "tag"}),
        ({"type": ("container",)}, {"start", "exec_create: sh"}),
        ({"event": ("start",)}, {"start"}),
        ({"event": ("exec_create",)}, {"exec_create: sh"}),
        ({"container": ("web",)}, {"start", "exec_create: sh", "tag"} - {"tag"}),
        ({"container": ("c1",), "event": ("start", "tag")}, {"start"}),
        ({"image": ("busybox",)}, {"start", "tag"}),
        ({"image": ("busybox:1",)}, {"start", "tag"}),
        ({"label": ("a=b",)}, {"start"}),
        ({"scope": ("swarm",)}, set()),
    ],
)
def test_filters(filters: Filters, events: set[str]) -> None:
    assert {event.action for event in (START, EXEC, TAG) if shown.wanted(event, filters)} == events


def test_image_creation_is_hidden_from_old_clients() -> None:
    created = DockerEvent(type="image", action="create", actor="x")
    assert shown.hidden(created, Version(1, 45))
    assert not shown.hidden(created, Version(1, 46))
    assert not shown.hidden(TAG, Version(1, 45))


def test_lines() -> None:
    assert json.loads(shown.line(TAG, Version(1, 52), sequence=False))["Type"] == "image"
    assert shown.line(TAG, Version(1, 52), sequence=True).startswith(b"\x1e{")
