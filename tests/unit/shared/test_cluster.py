import pytest

from shared import cluster
from shared.cluster import Membership, Place
from shared.errors import DataLoss, InvalidArgument

OURS = Membership(cluster="c1", address="198.18.0.1:7377", hubs=("198.18.0.1:7377",), hub="hub-1")


def test_a_host_in_no_cluster(tmp_path):
    assert cluster.load(tmp_path) is None


def test_a_membership_is_kept_and_forgotten(tmp_path):
    cluster.save(tmp_path, OURS)
    cluster.write(cluster.folder(tmp_path) / "node.key", b"key")
    assert cluster.load(tmp_path) == OURS
    assert {path.stat().st_mode & 0o777 for path in cluster.folder(tmp_path).iterdir()} == {0o600}
    cluster.forget(tmp_path)
    assert cluster.load(tmp_path) is None
    assert not list(cluster.folder(tmp_path).iterdir())


def test_a_membership_that_cannot_be_read_is_not_taken_for_none(tmp_path):
    cluster.write(cluster.folder(tmp_path) / "membership.json", b"{")
    with pytest.raises(DataLoss, match=r"membership\.json"):
        cluster.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("node1", ("node1", 7377)),
        ("198.18.0.1:99", ("198.18.0.1", 99)),
        ("[fd00::1]", ("[fd00::1]", 7377)),
        ("[fd00::1]:99", ("[fd00::1]", 99)),
    ],
)
def test_a_place(text, place):
    assert Place.parse(text) == place
    assert Place.parse(str(Place.parse(text))) == place
    assert len({Place.parse(text).port, Place.parse(text).links, Place.parse(text).routes}) == 3


@pytest.mark.parametrize("text", ["", "a b", "node1:", "node1:0", "node1:65534", "fd00::1", "tls://node1", "a@b:1"])
def test_no_place(text):
    with pytest.raises(InvalidArgument, match="no address of a host"):
        Place.parse(text)


def test_who_is_let_in_is_written_when_it_changes(tmp_path):
    one, other = (cluster.Member(id=id, link="U", pin="p") for id in "ab")
    assert cluster.members(tmp_path) == ()
    assert cluster.save_members(tmp_path, [other, one])
    assert not cluster.save_members(tmp_path, [one, other])
    assert cluster.members(tmp_path) == (one, other)
    assert cluster.save_members(tmp_path, [one])
