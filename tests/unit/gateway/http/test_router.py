from __future__ import annotations

import pytest

from gateway.http.message import Request, Response
from gateway.http.router import Route, Router
from shared.errors import NotFound


async def handler(gateway: object, request: Request) -> Response:
    return Response(200)


def route(method: str, template: str) -> Route:
    return Route(method, template, handler, f"{method} {template}")


ROUTER = Router(
    route(*pair.split(" "))
    for pair in (
        "GET /_ping",
        "GET /images/json",
        "GET /images/get",
        "GET /images/{name}/json",
        "GET /images/{name}/get",
        "DELETE /images/{name}",
        "DELETE /containers/{id}",
        "GET /containers/{id}/json",
        "GET /containers/{id}/attach/ws",
        "DELETE /containers/{id}/checkpoints/{checkpoint}",
        "GET /networks/{id}",
        "GET /networks/",
    )
)


@pytest.mark.parametrize(
    ("method", "path", "name", "params"),
    [
        ("GET", "/_ping", "GET /_ping", {}),
        ("GET", "/images/json", "GET /images/json", {}),
        ("GET", "/images/a/b:1/json", "GET /images/{name}/json", {"name": "a/b:1"}),
        ("GET", "/images/json/json", "GET /images/{name}/json", {"name": "json"}),
        ("DELETE", "/images/host:5000/a/b@sha256:1", "DELETE /images/{name}", {"name": "host:5000/a/b@sha256:1"}),
        ("DELETE", "/images/a/json", "DELETE /images/{name}", {"name": "a/json"}),
        ("GET", "/containers/c/attach/ws", "GET /containers/{id}/attach/ws", {"id": "c"}),
        (
            "DELETE",
            "/containers/c/checkpoints/p",
            "DELETE /containers/{id}/checkpoints/{checkpoint}",
            {"id": "c", "checkpoint": "p"},
        ),
        ("GET", "/networks/", "GET /networks/", {}),
        ("GET", "/networks/json", "GET /networks/{id}", {"id": "json"}),
    ],
)
def test_paths_find_their_operation(method: str, path: str, name: str, params: dict[str, str]) -> None:
    found, got = ROUTER.find(method, path)
    assert (found.name, got) == (name, params)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", ""), ("GET", "/nope"), ("PUT", "/_ping"), ("GET", "/containers//json"), ("GET", "_ping")],
)
def test_anything_else_is_no_page(method: str, path: str) -> None:
    with pytest.raises(NotFound) as caught:
        ROUTER.find(method, path)
    assert caught.value.message == "page not found"
