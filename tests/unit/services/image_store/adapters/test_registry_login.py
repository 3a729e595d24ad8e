from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from services.image_store.adapters.registry_login import Logins, origin
from services.image_store.adapters.registry_wire import Command, Trust
from shared.contracts.image_store import Credentials
from shared.errors import Unknown

BEARER = ('Bearer realm="https://auth/token",service="s"',)
USER = Credentials(username="u", password="p")
NOBODY = Credentials()


class Service:
    """A token service; `asked` are the requests that reached it."""

    def __init__(self) -> None:
        self.asked: list[tuple[Command, bytes | None]] = []
        self.seconds = 300

    async def __call__(self, command: Command, data: bytes | None) -> bytes:
        self.asked.append((command, data))
        await asyncio.sleep(0)
        return json.dumps({"token": f"t{len(self.asked)}", "expires_in": self.seconds, "refresh_token": "r"}).encode()


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def logins(service: Service) -> Logins:
    return Logins(service)


def asks(login: Credentials = NOBODY, scope: str = "repository:a:pull", **more: object) -> Command:
    return Command(id=1, do="exchange", url="https://r/v2/a/tags/list", login=login, scopes=(scope,), **more)  # type: ignore[arg-type]


async def test_nothing_is_shown_before_it_is_asked_for(logins: Logins) -> None:
    assert await logins.header(asks(USER)) == ""
    assert await logins.challenged(asks(USER), ()) == ""
    assert await logins.challenged(asks(USER), ("Negotiate",)) == ""


async def test_one_token_serves_all_requests_of_one_scope(logins: Logins, service: Service) -> None:
    assert await logins.challenged(asks(USER), BEARER) == "Bearer t1"
    found = await asyncio.gather(*(logins.header(asks(USER)) for _ in range(5)))
    assert set(found) == {"Bearer t1"}
    assert await logins.header(asks(USER, "repository:b:pull")) == "Bearer t2"
    command, data = service.asked[0]
    assert data is None
    assert command.headers["Authorization"].startswith("Basic ")
    assert command.login == Credentials()
    assert parse_qs(urlsplit(command.url).query) == {
        "service": ["s"], "scope": ["repository:a:pull"], "account": ["u"],
    }  # fmt: skip
    assert logins.identity_token(asks(USER)) == ""


async def test_an_identity_token_is_for_who_asked_for_it(logins: Logins) -> None:
    await logins.challenged(asks(USER), BEARER)
    await logins.challenged(asks(USER, offline=True), BEARER)
    assert logins.identity_token(asks(USER)) == ""
    assert logins.identity_token(asks(USER, offline=True)) == "r"
    assert logins.identity_token(asks(offline=True)) == ""


async def test_a_refused_token_is_replaced(logins: Logins) -> None:
    await logins.challenged(asks(USER), BEARER)
    assert await logins.challenged(asks(USER), BEARER) == "Bearer t2"
    assert await logins.header(asks(USER)) == "Bearer t2"


async def test_users_do_not_share_tokens(logins: Logins, service: Service) -> None:
    await logins.challenged(asks(USER), BEARER)
    assert await logins.header(asks()) == ""
    await logins.challenged(asks(), BEARER)
    assert "Authorization" not in service.asked[1][0].headers


async def test_an_identity_token_is_posted(logins: Logins, service: Service) -> None:
    await logins.challenged(asks(Credentials(username="u", password="p", identity_token="id")), BEARER)
    command, data = service.asked[0]
    assert command.method == "POST"
    assert data is not None
    assert parse_qs(data.decode())["refresh_token"] == ["id"]
    assert "Authorization" not in command.headers


async def test_basic(logins: Logins) -> None:
    assert (await logins.challenged(asks(USER), ("Basic realm=x",))).startswith("Basic ")
    assert (await logins.header(asks(USER))).startswith("Basic ")
    with pytest.raises(Unknown, match="no basic auth credentials"):
        await logins.challenged(asks(), ("Basic realm=x",))


async def test_tokens_go_before_basic(logins: Logins) -> None:
    assert await logins.challenged(asks(USER), ("Basic realm=x", *BEARER)) == "Bearer t1"


async def test_a_token_of_the_clients_own(logins: Logins, service: Service) -> None:
    assert await logins.challenged(asks(Credentials(registry_token="mine")), BEARER) == "Bearer mine"
    assert service.asked == []


async def test_secrets_do_not_go_out_in_the_clear(logins: Logins, service: Service) -> None:
    with pytest.raises(Unknown, match="not reached by https"):
        await logins.challenged(asks(USER), ('Bearer realm="http://auth/token"',))
    assert service.asked == []
    trusting = asks(USER, trust=Trust(verified=False))
    assert await logins.challenged(trusting, ('Bearer realm="http://auth/token"',)) == "Bearer t1"


def test_origins() -> None:
    assert origin("https://r:5000/v2/?a#b") == "https://r:5000"
