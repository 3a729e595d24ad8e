from __future__ import annotations

import pytest

from gateway.translate import volume as shown
from shared.contracts.volume import CreateRequest, VolumeSpec
from shared.errors import InvalidArgument


def test_a_volume() -> None:
    spec = VolumeSpec(name="v", mountpoint="/m", created=1_700_000_000_500_000_000)
    assert shown.show(spec) == {
        "CreatedAt": "2023-11-14T22:13:20Z",
        "Driver": "local",
        "Labels": None,
        "Mountpoint": "/m",
        "Name": "v",
        "Options": None,
        "Scope": "local",
    }


def test_an_unnamed_volume_is_marked() -> None:
    assert shown.show(VolumeSpec(name="x", anonymous=True))["Labels"] == {"com.docker.volume.anonymous": ""}


def test_a_drivers_status_is_shown_where_there_is_one() -> None:
    assert shown.show(VolumeSpec(name="x", status={"a": 1}))["Status"] == {"a": 1}


def test_a_request() -> None:
    assert shown.create_request({}) == CreateRequest()
    assert shown.create_request({"Name": "", "Driver": "", "DriverOpts": None, "Labels": None}) == CreateRequest()
    assert shown.create_request({"name": "v", "DriverOpts": {"o": "x"}}) == CreateRequest(name="v", options={"o": "x"})


def test_no_body_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="got EOF while reading request body"):
        shown.create_request(None)


def test_wrong_types_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"VolumeCreateRequest\.DriverOpts"):
        shown.create_request({"DriverOpts": {"o": 5}})
