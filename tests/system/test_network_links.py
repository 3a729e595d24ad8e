"""`--link`: on the default bridge names, lines and variables; on others names of one container's own."""

from __future__ import annotations

from tests.support.engine import IMAGE, Engine

SLEEP = (IMAGE, "sleep", "1000")


def hosts(engine: Engine, name: str) -> list[list[str]]:
    return [line.split() for line in engine.ok("exec", name, "cat", "/etc/hosts").splitlines()]


def address(engine: Engine, name: str, network: str = "bridge") -> str:
    found: str = engine.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"]
    return found


def names(engine: Engine, name: str) -> list[str]:
    listed = engine.call("GET", "/containers/json").json
    return next(one["Names"] for one in listed if f"/{name}" in one["Names"])


def test_a_container_knows_another_by_a_name_of_its_own(engine: Engine) -> None:
    identity = engine.start("--name", "db", "--expose", "5432", "-e", "USER=joe", *SLEEP)
    engine.start("--name", "web", "--link", "db:sto-re", *SLEEP)
    assert [address(engine, "db"), "sto-re", identity[:12], "db"] in hosts(engine, "web")
    told = set(engine.ok("exec", "web", "env").splitlines())
    assert {
        f"STO_RE_PORT=tcp://{address(engine, 'db')}:5432",
        f"STO_RE_PORT_5432_TCP_ADDR={address(engine, 'db')}",
        "STO_RE_NAME=/web/sto-re",
        "STO_RE_ENV_USER=joe",
    } <= told
    assert engine.inspect("web")["HostConfig"]["Links"] == ["/db:/web/sto-re"]
    assert names(engine, "db") == ["/db", "/web/sto-re"]
    assert engine.ok("inspect", "--format", "{{.Id}}", "web/sto-re") == identity


def test_links_follow_their_containers(engine: Engine) -> None:
    engine.start("--name", "db", *SLEEP)
    engine.start("--name", "web", "--link", "db", *SLEEP)
    before = address(engine, "db")
    engine.ok("stop", "-t", "0", "db")
    engine.start("--name", "filler", *SLEEP)
    engine.ok("start", "db")
    assert address(engine, "db") != before
    assert address(engine, "db") in [line[0] for line in hosts(engine, "web")]
    engine.ok("rename", "db", "base")
    assert engine.inspect("web")["HostConfig"]["Links"] == ["/base:/web/db"]
    engine.ok("stop", "-t", "0", "base")
    result = engine.docker("exec", "web", "true")
    assert "Error response from daemon: Cannot link to a non running container: /base AS /web/db" in result.err
    result = engine.docker("restart", "-t", "0", "web")
    assert "Cannot link to a non running container: /base AS /web/db" in result.err


def test_a_link_can_be_removed(engine: Engine) -> None:
    engine.start("--name", "db", *SLEEP)
    engine.start("--name", "web", "--link", "db:one", "--link", "db:two", *SLEEP)
    engine.ok("rm", "--link", "web/one")
    assert [line[1] for line in hosts(engine, "web") if line[0] == address(engine, "db")] == ["two"]
    assert engine.inspect("web")["HostConfig"]["Links"] == ["/db:/web/two"]
    for name, text in (
        ("web/one", "No such container: web/one"),
        ("nope/x", "No such container: nope/x"),
        ("web", "Conflict, cannot remove the default link name of the container"),
    ):
        assert text in engine.docker("rm", "--link", name).err


def test_what_cannot_be_linked_to(engine: Engine) -> None:
    result = engine.docker("run", "--rm", "--link", "nope:x", IMAGE, "true")
    assert "could not get container for nope: No such container: nope" in result.err
    engine.start("--name", "outside", "--network", "host", *SLEEP)
    result = engine.docker("run", "--rm", "--link", "outside:x", IMAGE, "true")
    assert "host type networking can't be used with links" in result.err
    engine.start("--name", "alone", "--network", "none", *SLEEP)
    result = engine.docker("run", "--rm", "--link", "alone:x", IMAGE, "true")
    assert "Cannot link to /alone, as it does not belong to the default network" in result.err


def test_on_a_users_network_a_link_is_a_name_for_one_container(engine: Engine) -> None:
    engine.ok("network", "create", "own")
    engine.start("--name", "db", "--network", "own", *SLEEP)
    engine.start("--name", "web", "--network", "own", "--link", "db:store", *SLEEP)
    assert address(engine, "db", "own") in engine.ok("exec", "web", "nslookup", "store")
    assert engine.inspect("web")["NetworkSettings"]["Networks"]["own"]["Links"] == ["db:store"]
    assert engine.inspect("web")["HostConfig"]["Links"] is None
    assert engine.docker("exec", "db", "nslookup", "-timeout=1", "store").code != 0
