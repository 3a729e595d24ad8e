from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.version import Version
from gateway.translate import image as shown
from shared.contracts.common import Descriptor
from shared.contracts.image_store import HistoryEntry, Image, ListReply, Removed
from shared.errors import InvalidArgument
from tests.support.simulators.image_store import BUSYBOX

V41, V43, V51, V52 = (Version(1, minor) for minor in (41, 43, 51, 52))
BARE = Image(id="sha256:ab")
DIGEST = "sha256:" + "0f" * 32


def test_inspect_by_version() -> None:
    old, new, newest = (shown.inspect(BUSYBOX, version) for version in (V41, V51, V52))
    assert old["VirtualSize"] == old["Size"] == 1_984_394
    assert old["ContainerConfig"]["Cmd"] is None
    assert old["Config"]["Hostname"] == ""
    assert "VirtualSize" not in new
    assert "Hostname" not in new["Config"]
    assert (new["Parent"], new["Config"]["Labels"]) == ("", None)
    assert "Parent" not in newest
    assert newest["Config"] == {"Env": ("PATH=/bin",), "Cmd": ("sh",)}


def test_a_descriptor_is_shown_since_148() -> None:
    image = msgspec.structs.replace(BUSYBOX, descriptor=Descriptor(media_type="m", digest="d", size=5))
    assert shown.inspect(image, V51)["Descriptor"] == {"mediaType": "m", "digest": "d", "size": 5}
    assert "Descriptor" not in shown.inspect(image, V41)
    assert "Descriptor" not in shown.summary(BUSYBOX, V51)


def test_an_image_without_a_name() -> None:
    assert shown.summary(BARE, V41)["RepoTags"] == ["<none>:<none>"]
    assert shown.summary(BARE, V43)["RepoTags"] == []
    assert shown.inspect(BARE, V41)["Created"] == "0001-01-01T00:00:00Z"
    assert "Created" not in shown.inspect(BARE, V51)


def test_a_list() -> None:
    listed = ListReply(images=(BUSYBOX,), shared_sizes={BUSYBOX.id: 7})
    [entry] = shown.summaries(listed, V51, {BUSYBOX.id: 3})
    assert (entry["SharedSize"], entry["Containers"], entry["Labels"]) == (7, 3, None)
    assert shown.summaries(listed, V51, {})[0]["Containers"] == 0
    assert shown.summaries(listed, V43, {BUSYBOX.id: 3})[0]["Containers"] == -1


def test_history_has_the_newest_step_first() -> None:
    image = msgspec.structs.replace(
        BUSYBOX,
        history=(HistoryEntry(created_by="one"), HistoryEntry(created_by="two", created="2026-01-01T00:00:00Z")),
    )
    first, second = shown.history(image)
    assert (first["Id"], first["Tags"], first["Created"]) == (BUSYBOX.id, ("busybox:latest",), 1_767_225_600)
    assert (second["Id"], second["Tags"], second["CreatedBy"], second["Created"]) == ("<missing>", None, "one", 0)
    assert shown.history(BARE) == []


@given(st.text())
def test_no_time_in_an_image_breaks_its_history(text: str) -> None:
    assert isinstance(shown.unix_time(text), int)


def test_removals() -> None:
    assert shown.removed((Removed(untagged="a:1"), Removed(deleted="sha256:x"))) == [
        {"Untagged": "a:1"},
        {"Deleted": "sha256:x"},
    ]


@pytest.mark.parametrize(
    ("reference", "means"),
    [
        ("busybox", True), ("busybox:latest", True), ("docker.io/library/busybox", True), ("busybox:1", False),
        ("library/busybox:latest", True), ("other/busybox", False), (BUSYBOX.id, True), (BUSYBOX.id[7:19], True),
        (f"busybox:3@{DIGEST}", True), (f"other@{DIGEST}", False), ("reg:5000/a", False),
        ("index.docker.io/busybox", True), ("NO NAME", False),
    ],
)  # fmt: skip
def test_whether_a_containers_reference_still_means_its_image(reference: str, means: bool) -> None:
    image = msgspec.structs.replace(BUSYBOX, repo_tags=("busybox:latest", "own:2"), repo_digests=(f"busybox@{DIGEST}",))
    assert shown.stands_for(reference, BUSYBOX.id, image) is means
    assert not shown.stands_for("busybox", BUSYBOX.id, None)
    assert shown.stands_for(BUSYBOX.id, BUSYBOX.id, None)


def test_a_blank_name_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="image name cannot be blank"):
        shown.require_name(" ")
