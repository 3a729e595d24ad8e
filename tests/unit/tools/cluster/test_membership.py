import socket

import pytest

from shared import cluster, pki
from shared.cluster import Place
from shared.config import Settings
from shared.errors import FailedPrecondition, InvalidArgument, Unavailable
from shared.joining import Token
from tests.support.ports import free_port
from tools.cluster import membership
from tools.cluster.membership import init, join, leave
from tools.supervisor import records
from tools.supervisor.supervisor import NAME as SUPERVISOR

PLACE = Place("127.0.0.1", free_port(3))


@pytest.fixture
def settings(tmp_path):
    return Settings(state_dir=str(tmp_path / "state"), run_dir=str(tmp_path / "run"))


def test_the_first_host(settings):
    made = init(settings, PLACE)
    assert cluster.load(settings.state_path) == made
    assert (made.role, made.hubs) == ("hub", (str(PLACE),))
    files = cluster.folder(settings.state_path)
    names = {"membership.json", "members.json", "ca.crt", "ca.key", "node.crt", "node.key"}
    assert {path.name for path in files.iterdir()} == names
    assert {path.stat().st_mode & 0o777 for path in files.iterdir()} == {0o600}
    pki.node_of((files / "node.crt").read_bytes())


def test_a_member_is_not_made_one_again(settings):
    init(settings, PLACE)
    with pytest.raises(FailedPrecondition, match=r"in the cluster .* already"):
        init(settings, PLACE)
    with pytest.raises(FailedPrecondition, match="already"):
        join(settings, PLACE, Token.new("a" * 52), PLACE)


def test_who_is_not_let_in_is_no_member(settings):
    with pytest.raises(Unavailable):
        join(settings, Place("127.0.0.1", free_port()), Token.new("a" * 52), PLACE)
    assert cluster.load(settings.state_path) is None


def test_an_external_broker_is_nobodys_cluster(tmp_path):
    settings = Settings(state_dir=str(tmp_path), run_dir=str(tmp_path), nats_url="nats://elsewhere:4222")
    with pytest.raises(FailedPrecondition, match="external broker"):
        init(settings, PLACE)


def test_leaving(settings):
    told: list[str] = []
    with pytest.raises(FailedPrecondition, match="in no cluster"):
        leave(settings, lambda: told.append("told"), force=True)
    made = init(settings, PLACE)

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
        init(settings, PLACE)


@pytest.mark.parametrize(
    "place", [Place("198.51.100.7", 7377), Place("no.such.host.invalid", 7377), Place("[2001:db8::7]", 7377)]
)
def test_an_address_that_this_host_does_not_have_makes_it_no_member(settings, place):
    """Its hub could not listen there: it served nothing any more, and said that it is in a cluster already."""
    for become in (lambda: init(settings, place), lambda: join(settings, PLACE, Token.new("a" * 52), place)):
        with pytest.raises(InvalidArgument, match="is no address of this host"):
            become()
    assert cluster.load(settings.state_path) is None


def test_ports_that_somebody_has_make_a_host_no_member(settings):
    with (
        socket.create_server(("127.0.0.1", PLACE.routes)),
        pytest.raises(FailedPrecondition, match=f"port {PLACE.routes} of 127.0.0.1 is taken .*--address HOST:PORT"),
    ):
        init(settings, PLACE)
    assert cluster.load(settings.state_path) is None
