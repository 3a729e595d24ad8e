"""Ports of a running container change: an endpoint of ours, and `shoal port`."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.engine import IMAGE, Engine
from tests.support.namespaces import socket_in
from tools.shoal.port import bindings

pytestmark = pytest.mark.shoal_only


def change(engine: Engine, name: str, action: str, *ports: str, status: int = 200) -> str:
    """What `shoal port` asks for; the message of a refusal."""
    body = {"Add" if action == "add" else "Remove": bindings(ports, action)}
    answer = engine.call("POST", f"/containers/{name}/ports", body)
    assert answer.status == status, answer.body
    return "" if status == 200 else answer.message


def published(engine: Engine, name: str) -> set[str]:
    return set(engine.ok("port", name).splitlines())


def listener(engine: Engine, name: str, port: int = 80) -> socket.socket:
    """A server inside the container."""
    made = socket_in(Path(f"/proc/{engine.inspect(name)['State']['Pid']}/ns/net"), socket.SOCK_STREAM)
    made.bind(("0.0.0.0", port))
    made.listen()
    made.settimeout(60)
    return made


def refused(engine: Engine, port: int) -> bool:
    try:
        engine.connect(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_port_comes_and_goes_and_connections_through_others_live_on(engine: Engine) -> None:
    engine.start("--name", "web", "-p", "18080:80", IMAGE, "sleep", "1000")
    with listener(engine, "web") as server, engine.connect(("127.0.0.1", 18080)) as client:
        inside, _ = server.accept()
        change(engine, "web", "add", "18081:80", "127.0.0.1:18082:80")
        assert {"80/tcp -> 0.0.0.0:18081", "80/tcp -> 127.0.0.1:18082"} < published(engine, "web")
        with engine.connect(("127.0.0.1", 18081)) as other:
            second, _ = server.accept()
            change(engine, "web", "rm", "18081:80")
            other.settimeout(60)
            other.send(b"x")
            with pytest.raises(ConnectionError):
                other.recv(10)
            second.close()
        assert refused(engine, 18081)
        client.send(b"still here")
        assert inside.recv(100) == b"still here"
        inside.close()
    assert "80/tcp -> 0.0.0.0:18081" not in published(engine, "web")
    wanted = engine.inspect("web")["HostConfig"]["PortBindings"]["80/tcp"]
    assert wanted == [{"HostIp": "", "HostPort": "18080"}, {"HostIp": "127.0.0.1", "HostPort": "18082"}]


def test_changes_live_through_a_restart_of_the_container(engine: Engine) -> None:
    engine.start("--name", "web", "-p", "18080:80", IMAGE, "sleep", "1000")
    change(engine, "web", "add", "18083:81", "18084:53/udp")
    change(engine, "web", "rm", "80")
    before = published(engine, "web")
    assert {"81/tcp -> 0.0.0.0:18083", "53/udp -> 0.0.0.0:18084"} <= before
    engine.ok("restart", "-t", "0", "web")
    assert published(engine, "web") == before
    engine.start("--name", "other", "-p", "18080:80", IMAGE, "sleep", "1000")


def test_a_free_port_is_told(engine: Engine) -> None:
    engine.start("--name", "web", IMAGE, "sleep", "1000")
    answer = engine.call("POST", "/containers/web/ports", {"Add": {"80/tcp": []}})
    [first, *_] = answer.json["Ports"]["80/tcp"]
    assert int(first["HostPort"]) >= 1024
    with listener(engine, "web") as server, engine.connect(("127.0.0.1", int(first["HostPort"]))):
        server.accept()[0].close()


def test_refusals_change_nothing(engine: Engine) -> None:
    engine.start("--name", "other", "-p", "18085:80", IMAGE, "sleep", "1000")
    engine.start("--name", "web", "-p", "18086:80", IMAGE, "sleep", "1000")
    before = engine.inspect("web")["HostConfig"]["PortBindings"], published(engine, "web")
    text = change(engine, "web", "add", "18087:80", "18085:80", status=409)
    assert "Bind for 0.0.0.0:18085 failed: port is already allocated" in text
    assert change(engine, "web", "rm", "81", status=404) == "port 81/tcp is not published"
    assert (engine.inspect("web")["HostConfig"]["PortBindings"], published(engine, "web")) == before
    assert refused(engine, 18087)
    bodies: tuple[object, ...] = (
        {},
        {"Add": 5},
        {"Add": {"x": []}},
        {"Add": {"80/tcp": "8080"}},
        {"Add": {"80/tcp": [5]}},
    )
    for body in bodies:
        assert engine.call("POST", "/containers/web/ports", body).status == 400
    engine.start("--name", "outside", "--network", "host", IMAGE, "sleep", "1000")
    assert "host type network mode" in change(engine, "outside", "add", "80", status=409)
    assert engine.call("POST", "/containers/nobody/ports", {"Add": {"80/tcp": []}}).status == 404


def test_a_stopped_container_has_its_new_ports_at_its_start(engine: Engine) -> None:
    engine.ok("create", "--name", "web", "-p", "18088:80", IMAGE, "sleep", "1000")
    change(engine, "web", "add", "18089:81")
    change(engine, "web", "rm", "18088:80")
    engine.ok("start", "web")
    assert published(engine, "web") >= {"81/tcp -> 0.0.0.0:18089"}
    assert not any("18088" in line for line in published(engine, "web"))


def test_all_exposed_ports_are_named_once_one_changes(engine: Engine) -> None:
    engine.start("--name", "web", "-P", "--expose", "80", "--expose", "81", IMAGE, "sleep", "1000")
    before = published(engine, "web")
    change(engine, "web", "add", "18090:80")
    assert published(engine, "web") >= before
    change(engine, "web", "rm", "81")
    assert {line.split()[0] for line in published(engine, "web")} == {"80/tcp"}
    assert engine.inspect("web")["HostConfig"]["PublishAllPorts"] is False
