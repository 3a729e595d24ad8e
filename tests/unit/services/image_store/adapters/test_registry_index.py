from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from services.image_store.adapters.registry_client import RegistryClient
from services.image_store.adapters.registry_index import search
from services.image_store.adapters.registry_remote import Remote
from services.image_store.adapters.registry_wire import Trust
from services.image_store.domain.registry_answers import RegistryError
from services.image_store.domain.registry_endpoints import Endpoint
from shared.contracts.distribution import Credentials
from shared.errors import InvalidArgument
from tests.support.fake_registry import FakeRegistry

Make = Callable[[str], Remote]


@pytest.fixture
async def at() -> AsyncIterator[Make]:
    client = RegistryClient()
    yield lambda url: Remote(client, Endpoint(url), "", Credentials(), Trust(), 5.0, ())
    await client.close()


@pytest.fixture
def index(registry: FakeRegistry) -> FakeRegistry:
    """A registry with a search."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"results": [], "asked": dict(request.query)})

    registry.override["GET", "/v1/search"] = answer
    return registry


async def test_the_first_that_answers_is_asked(at: Make, index: FakeRegistry) -> None:
    answer = await search([at(f"https://{index.name}"), at(index.url)], "a b", 10, known=False)
    assert answer == b'{"results": [], "asked": {"q": "a b", "n": "10"}}'
    assert index.paths() == ["/v1/_ping", "/v1/search"]
    index.asked.clear()
    await search([at(index.url)], "a", 10, known=True)
    assert index.paths() == ["/v1/search"]


async def test_a_registry_without_a_search(at: Make, registry: FakeRegistry) -> None:
    with pytest.raises(RegistryError) as refused:
        await search([at(registry.url)], "a", 10, known=False)
    assert refused.value.status == 404


async def test_nobody_there(at: Make) -> None:
    with pytest.raises(
        InvalidArgument, match=r'invalid registry endpoint "http://localhost:1/v1/". HTTPS attempt: Get'
    ):
        await search([at("https://localhost:1"), at("http://localhost:1")], "a", 10, known=False)
    with pytest.raises(InvalidArgument, match="add 'localhost:1' to insecure_registries"):
        await search([at("https://localhost:1")], "a", 10, known=False)
