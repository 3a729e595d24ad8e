"""Images of real software, built by their Dockerfiles with this engine, at work together."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.support.debian_images import load
from tests.support.engine import Engine, unique
from tests.support.software import NGINX, REDIS, WEB
from tests.support.waiting import until
from tools.images import entry, tar

pytestmark = [pytest.mark.shoal_only, pytest.mark.timeout(600)]  # the images are made when they are not there yet
SITE = """server {
    listen 80;
    server_name site;
    location / {
        proxy_pass http://app:8000;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
    }
    location = /status { return 200 "%s\\n"; }
}
"""


def wait(found: Callable[[], bool]) -> None:
    """Returns when it is so; nobody tells when."""
    asyncio.run(until(found, 120))


def get(engine: Engine, address: tuple[str, int], path: str) -> str:
    """The body of an answer, which is a good one."""
    with engine.connect(address) as connection:
        connection.settimeout(60)
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: site\r\n\r\n".encode())
        answer = b""
        while piece := connection.recv(4096):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"200", answer
    return body.decode()


def listens(engine: Engine, address: tuple[str, int]) -> bool:
    try:
        engine.connect(address).close()
    except ConnectionRefusedError:
        return False
    return True


def site(engine: Engine, address: tuple[str, int]) -> Mapping[str, Any]:
    said: Mapping[str, Any] = json.loads(get(engine, address, "/"))
    return said


def test_a_web_app_behind_nginx_with_redis(image_engine: Engine) -> None:
    engine = image_engine
    load(engine, NGINX, REDIS, WEB)
    assert "gunicorn" in engine.ok("history", "--no-trunc", "--format", "{{.CreatedBy}}", WEB.tags[0])
    network = unique("site")
    engine.ok("network", "create", network)
    engine.start("--network", network, "--name", "queue", REDIS.tags[0])
    app = engine.start("--network", network, "--name", "app", "--env", "QUEUE=queue", "--read-only",
                       "--tmpfs", "/tmp", WEB.tags[0])  # fmt: skip
    wait(lambda: engine.inspect(app)["State"]["Health"]["Status"] == "healthy")
    assert engine.ok("exec", app, "id", "-un") == "app"
    name = engine.ok("create", "--network", network, "-p", "127.0.0.1::80", "--name", "front", NGINX.tags[0])
    engine.ok("cp", "-", f"{name}:/etc/nginx/conf.d", input=configured("first"))
    engine.ok("start", name)
    [where] = engine.inspect(name)["NetworkSettings"]["Ports"]["80/tcp"]
    address = where["HostIp"], int(where["HostPort"])

    wait(lambda: listens(engine, address))

    said = [site(engine, address) for _ in range(20)]
    assert [each["count"] for each in said] == list(range(1, 21))
    assert {each["host"] for each in said} == {"site"}
    assert get(engine, address, "/status") == "first\n"
    assert engine.ok("logs", "front").count('"GET / HTTP/1.0" 200') == 20
    assert engine.docker("logs", "app").out.count('"GET / HTTP/1.0" 200') == 20

    engine.ok("cp", "-", f"{name}:/etc/nginx/conf.d", input=configured("second"))
    engine.ok("kill", "--signal", "HUP", "front")
    wait(lambda: get(engine, address, "/status") == "second\n")
    engine.ok("restart", "queue")
    wait(lambda: "PONG" in engine.docker("exec", "queue", "redis-cli", "ping").out)
    assert site(engine, address)["count"] == 21, "what Redis has saved is there"
    engine.ok("stop", "front", "app", "queue")
    assert [engine.inspect(each)["State"]["ExitCode"] for each in ("front", "app", "queue")] == [0, 0, 0]


def configured(status: str) -> bytes:
    """An archive with the site's configuration."""
    return tar([entry("site.conf", (SITE % status).encode())])
