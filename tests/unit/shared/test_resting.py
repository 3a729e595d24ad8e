import msgspec

from shared import cluster, resting
from shared.cluster import Membership
from shared.config import Settings


def test_who_is_called_by_others_does_not_rest(tmp_path):
    alone = Settings(state_dir=str(tmp_path))
    assert resting.rests(alone, "builder")
    assert not resting.rests(alone, "executor")
    for replaced in ("gateway", "builder"):
        assert not resting.rests(msgspec.structs.replace(alone, replaced=(replaced,)), "builder")
    cluster.folder(tmp_path).mkdir()
    cluster.save(tmp_path, Membership(cluster="c1", address="127.0.0.1:1:2", hubs=()))
    assert not resting.rests(alone, "builder")


def test_who_was_wanted_is_told_once(tmp_path):
    settings = Settings(run_dir=str(tmp_path), state_dir=str(tmp_path))
    assert not resting.want(settings, "builder"), "there is no engine"
    resting.records(settings).mkdir()
    assert resting.want(settings, "builder")
    assert resting.want(settings, "builder")
    assert not resting.want(settings, "executor")
    assert resting.take(resting.records(settings)) == ["builder"]
    assert resting.take(resting.records(settings)) == []
