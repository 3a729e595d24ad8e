"""Tag Volume."""

import pytest

from tests.support.engine import IMAGE, Engine, unique
from tests.support.swagger_walk import Caller

ABSENT = "no-such-volume"


@pytest.mark.provokes("VolumeCreate", 201)
@pytest.mark.provokes("VolumeInspect", 200, 404)
@pytest.mark.provokes("VolumeList", 200)
@pytest.mark.provokes("VolumeDelete", 204, 404, 409)
def test_life(caller: Caller, engine: Engine) -> None:
    wanted = {
        "Name": unique("vol"),
        "Driver": "local",
        "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"},
        "Labels": {"a": "b"},
    }
    name = caller.expect(201, "VolumeCreate", body=wanted).json["Name"]
    other = caller.expect(201, "VolumeCreate", body={}).json["Name"]
    caller.expect(200, "VolumeInspect", name=name)
    caller.expect(404, "VolumeInspect", name=ABSENT)
    found = caller.expect(200, "VolumeList", query={"filters": {"dangling": ["true"]}}).json["Volumes"]
    assert {each["Name"] for each in found} == {name, other}
    user = engine.ok("create", "-v", f"{name}:/v", IMAGE)
    caller.expect(409, "VolumeDelete", name=name)
    engine.ok("rm", user)
    caller.expect(204, "VolumeDelete", name=name, query={"force": True})
    caller.expect(404, "VolumeDelete", name=ABSENT)


@pytest.mark.provokes("VolumePrune", 200)
def test_prune(caller: Caller, engine: Engine) -> None:
    engine.ok("volume", "create", "named")
    assert caller.expect(200, "VolumePrune").json["VolumesDeleted"] == []
    assert caller.expect(200, "VolumePrune", query={"filters": {"all": ["1"]}}).json["VolumesDeleted"] == ["named"]


@pytest.mark.provokes("VolumeUpdate", 503)
def test_update_is_for_cluster_volumes(caller: Caller, engine: Engine) -> None:
    engine.ok("volume", "create", "named")
    caller.expect(503, "VolumeUpdate", name="named", query={"version": 1}, body={"Spec": {}})
