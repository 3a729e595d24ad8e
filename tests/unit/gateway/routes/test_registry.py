from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable

from shared.contracts import distribution as registries
from shared.contracts.image_store import Credentials
from tests.support.gateways import World
from tests.support.http import Answer

Api = Callable[..., Awaitable[Answer]]
HEADER = base64.urlsafe_b64encode(b'{"username":"u","password":"p"}').decode()
USER = Credentials(username="u", password="p")


async def test_logging_in(api: Api, world: World) -> None:
    answer = await api("POST", "/auth", {"username": "u", "password": "p", "serveraddress": "r:5"})
    assert answer.json() == {"IdentityToken": "token", "Status": "Login Succeeded"}
    assert world.images.last() == registries.LoginRequest(server_address="r:5", auth=USER)
    refused = await api("POST", "/auth", {"username": "u"})
    assert (refused.status, refused.message) == (401, "unauthorized: incorrect username or password")
    assert (await api("POST", "/auth", {"username": 5})).status == 400


async def test_searching(api: Api, world: World) -> None:
    path = '/images/search?term=a/b&limit=5&filters={"stars":["3"]}'
    [found] = (await api("GET", path, None, X_Registry_Auth=HEADER)).json()
    assert (found["name"], found["star_count"]) == ("found", 3)
    assert world.images.last() == registries.SearchRequest(term="a/b", limit=5, filters={"stars": ("3",)}, auth=USER)
    assert (await api("GET", "/images/search?term=a&limit=x")).status == 400


async def test_what_is_under_a_name(api: Api, world: World) -> None:
    answer = await api("GET", "/distribution/r:5/a/b:1/json", None, X_Registry_Auth=HEADER)
    assert answer.json() == {"Descriptor": {"mediaType": "m", "digest": "sha256:d", "size": 5}, "Platforms": None}
    assert world.images.last() == registries.DistributionRequest(reference="r:5/a/b:1", auth=USER)


async def test_what_refers_to_an_image(api: Api, world: World) -> None:
    answer = await api("GET", "/distribution/r:5/a/b:1/referrers?type=x/sig", None, X_Registry_Auth=HEADER)
    shown = {"mediaType": "m", "digest": "sha256:r", "size": 2, "artifactType": "x/sig", "annotations": {"a": "b"}}
    assert answer.json() == {"Digest": "sha256:d", "Referrers": [shown]}
    assert world.images.last() == registries.ReferrersRequest(reference="r:5/a/b:1", artifact_type="x/sig", auth=USER)
    [fetched] = (await api("GET", "/distribution/a/referrers?digest=sha256:r&content=1")).json()["Referrers"]
    blob = {"mediaType": "text/plain", "digest": "sha256:b", "size": 2, "data": base64.b64encode(b"hi").decode()}
    assert fetched == shown | {"data": base64.b64encode(b"{}").decode(), "blobs": [blob]}
    assert world.images.last() == registries.ReferrersRequest(reference="a", digest="sha256:r", content=True)
