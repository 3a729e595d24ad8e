import pytest

from shared import cluster, pki
from shared.cluster import Place
from shared.config import Settings
from shared.errors import FailedPrecondition, Unavailable
from shared.joining import Token
from tests.support.ports import free_port
from tools.cluster import membership
from tools.cluster.membership import init, join, leave
from tools.supervisor import records
from tools.supervisor.supervisor import NAME as SUPERVISOR


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=str(tmp_path / "state"), run_dir=str(tmp_path / "run"))


def test_the_first_host(settings):
    made = init(settings, Place("198.18.0.1", 7377))
    assert cluster.load(settings.state_path) == made
    assert (made.role, made.hubs) == ("hub", ("198.18.0.1:7377",))
    files = cluster.folder(settings.state_path)
    names = {"membership.json", "members.json", "ca.crt", "ca.key", "node.crt", "node.key"}
    assert {path.name for path in files.iterdir()} == names
    assert {path.stat().st_mode & 0o777 for path in files.iterdir()} == {0o600}
    pki.node_of((files / "node.crt").read_bytes())


def test_a_member_is_not_made_one_again(settings):
    init(settings, Place("198.18.0.1", 7377))
    with pytest.raises(FailedPrecondition, match=r"in the cluster .* already"):
        init(settings, Place("198.18.0.1", 7377))
    with pytest.raises(FailedPrecondition, match="already"):
        join(settings, Place("198.18.0.1", 1), Token.new("a" * 52), Place("198.18.0.2", 1))


def test_who_is_not_let_in_is_no_member(settings):
    with pytest.raises(Unavailable):
        join(settings, Place("127.0.0.1", free_port()), Token.new("a" * 52), Place("198.18.0.2", 1))
    assert cluster.load(settings.state_path) is None


def test_an_external_broker_is_nobodys_cluster(tmp_path):
    settings = Settings(state_dir=str(tmp_path), run_dir=str(tmp_path), nats_url="nats://elsewhere:4222")
    with pytest.raises(FailedPrecondition, match="external broker"):
        init(settings, Place("198.18.0.1", 7377))


def test_leaving(settings):
    told: list[str] = []
    with pytest.raises(FailedPrecondition, match="in no cluster"):
        leave(settings, lambda: told.append("told"), force=True)
    made = init(settings, Place("198.18.0.1", 7377))

    def nobody_there() -> None:
        raise Unavailable("cut off")

    with pytest.raises(Unavailable):
        leave(settings, nobody_there, force=False)
    assert cluster.load(settings.state_path) == made
    leave(settings, lambda: told.append("told"), force=False)
    assert told == ["told"]
    leave(settings, nobody_there, force=True)
    assert cluster.load(settings.state_path) is None


def test_an_engine_that_does_not_serve_in_time_says_what_is_missing(settings, monkeypatch):
    """It waits as long as `shoal up`, for as much has to begin."""
    monkeypatch.setattr(membership, "SECONDS", 0.0)
    where = records.make_folder(settings)
    records.write(where, records.of_this_process(SUPERVISOR, ready=True))
    with pytest.raises(Unavailable, match=r"does not serve in the cluster yet\n(.|\n)*scheduler does not serve"):
        init(settings, Place("198.18.0.1", 7377))
