from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from services.image_store.adapters.registry_http import Agent
from services.image_store.adapters.registry_trouble import Trouble, explained
from services.image_store.adapters.registry_wire import LONGEST_SAID, LONGEST_TEXT, Command, Said, Trust
from services.image_store.domain.registry_answers import RegistryError
from shared.contracts.image_store import Credentials
from shared.digest import digest_of
from shared.errors import Unknown
from shared.proxies import Proxies
from tests.support.certificates import Authority
from tests.support.fake_registry import FakeRegistry, basic, bearer, cut

DATA = os.urandom(3_000_000)
USER = Credentials(username="u", password="p")


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().served() as made:
        yield made


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    made = Agent()
    yield made
    await made.close()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


class Told:
    def __init__(self) -> None:
        self.at: list[int] = []

    def __call__(self, said: Said) -> None:
        self.at.append(said.at)


def command(registry: FakeRegistry, path: str, **more: Any) -> Command:
    made = Command(id=1, do="exchange", url=registry.url + path, scopes=("repository:x:pull",), patience=5.0, whole=5.0)
    return msgspec.structs.replace(made, **more)


def content(file: int) -> bytes:
    return os.pread(file, 10_000_000, 0)


async def test_a_question_and_its_answer(agent: Agent, registry: FakeRegistry, file: int) -> None:
    said = await agent.exchange(command(registry, "/v2/"), file, Told())
    assert (said.status, said.headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert content(file) == b"{}"
    said = await agent.exchange(command(registry, "/v2/x/manifests/1"), file, Told())
    assert (said.status, said.reason) == (404, "Not Found")
    assert b"MANIFEST_UNKNOWN" in said.text


async def test_a_question_with_a_body(agent: Agent, registry: FakeRegistry, file: int) -> None:
    os.write(file, b'{"schemaVersion":2}')
    asked = command(registry, "/v2/x/manifests/1", method="PUT", headers={"Content-Type": "t/x"})
    assert (await agent.exchange(asked, file, Told())).status == 201
    assert registry.manifests["x", "1"] == ("t/x", b'{"schemaVersion":2}')


async def test_tokens(agent: Agent, registry: FakeRegistry, file: int) -> None:
    bearer(registry)
    for _ in range(2):
        assert (await agent.exchange(command(registry, "/v2/", login=USER), file, Told())).status == 200
    assert [each.path for each in registry.asked] == ["/v2/", "/token", "/v2/", "/v2/"]
    assert registry.asked[1].headers["Authorization"] == basic("u", "p")
    assert registry.asked[1].query["scope"] == "repository:x:pull"


async def test_a_token_that_ran_out_meanwhile(agent: Agent, registry: FakeRegistry, file: int) -> None:
    bearer(registry)
    await agent.exchange(command(registry, "/v2/"), file, Told())
    registry.accepted.clear()
    assert (await agent.exchange(command(registry, "/v2/"), file, Told())).status == 200


async def test_a_token_service_that_refuses(agent: Agent, registry: FakeRegistry, file: int) -> None:
    bearer(registry)
    registry.refuse_login = True
    with pytest.raises(
        RegistryError, match=r'^Get "http://localhost:\d+/v2/": unauthorized: incorrect username'
    ) as caught:
        await agent.exchange(command(registry, "/v2/", login=USER), file, Told())
    assert not caught.value.again


async def test_basic_authentication(agent: Agent, registry: FakeRegistry, file: int) -> None:
    registry.challenge, registry.accepted = 'Basic realm="r"', {basic("u", "p")}
    assert (await agent.exchange(command(registry, "/v2/", login=USER), file, Told())).status == 200
    wrong = Credentials(username="u", password="x")
    assert (await agent.exchange(command(registry, "/v2/", login=wrong), file, Told())).status == 401
    with pytest.raises(Unknown, match="no basic auth credentials"):
        await agent.exchange(command(registry, "/v2/"), file, Told())


async def test_the_blob_store_a_registry_redirects_to_does_not_learn_who_asks(
    agent: Agent, registry: FakeRegistry, file: int
) -> None:
    bearer(registry)
    digest = registry.add_blob("x", DATA)["digest"]
    async with FakeRegistry().served() as store:
        store.blobs = registry.blobs
        registry.redirect = store.url
        asked = command(registry, f"/v2/x/blobs/{digest}", do="download", login=USER, size=len(DATA))
        said = await agent.download(asked, file, Told())
        assert (said.digest, content(file)) == (digest, DATA)
        assert "Authorization" not in store.asked[0].headers
    registry.redirect = registry.url
    os.ftruncate(file, 0)
    await agent.download(asked, file, Told())
    assert registry.asked[-1].headers["Authorization"].startswith("Bearer ")


@pytest.mark.parametrize("target", ["ftp://localhost/x", "file:///etc/passwd", "gopher://x", "unix:///run/x"])
async def test_redirects_elsewhere(agent: Agent, registry: FakeRegistry, file: int, target: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": target})

    registry.override["GET", "/v2/"] = handler
    with pytest.raises(Trouble, match="redirected to"):
        await agent.exchange(command(registry, "/v2/"), file, Told())


async def test_redirects_without_end(agent: Agent, registry: FakeRegistry, file: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/v2/"})

    registry.override["GET", "/v2/"] = handler
    with pytest.raises(Trouble, match="stopped after 10 redirects"):
        await agent.exchange(command(registry, "/v2/"), file, Told())
    assert len(registry.asked) == 11


async def test_answers_without_end(agent: Agent, registry: FakeRegistry, file: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=400 if request.query.get("s") == "4" else 200)
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            return response

    registry.override["GET", "/v2/"] = handler
    with pytest.raises(Trouble, match="longer than"):
        await agent.exchange(command(registry, "/v2/"), file, Told())
    said = await agent.exchange(command(registry, "/v2/?s=4"), file, Told())
    assert (said.status, len(said.text)) == (400, LONGEST_TEXT)
    with pytest.raises(Trouble, match="more than the 100000 bytes announced") as caught:
        await agent.download(command(registry, "/v2/", do="download", size=100_000), file, Told())
    assert caught.value.kind == "large"
    assert len(content(file)) <= 100_000


async def test_a_registry_that_announces_too_much(agent: Agent, registry: FakeRegistry, file: int) -> None:
    digest = registry.add_blob("x", DATA)["digest"]
    with pytest.raises(Trouble, match="bytes are announced instead of 10"):
        await agent.download(command(registry, f"/v2/x/blobs/{digest}", do="download", size=10), file, Told())


async def test_a_download_tells_how_far_it_is(agent: Agent, registry: FakeRegistry, file: int) -> None:
    digest, told = registry.add_blob("x", DATA)["digest"], Told()
    asked = command(registry, f"/v2/x/blobs/{digest}", do="download", size=len(DATA))
    said = await agent.download(asked, file, told)
    assert (said.digest, said.size, content(file)) == (digest, len(DATA), DATA)
    assert told.at == sorted(told.at)
    assert told.at[-1] == len(DATA)


async def test_a_download_goes_on_where_it_stopped(agent: Agent, registry: FakeRegistry, file: int) -> None:
    digest = registry.add_blob("x", DATA)["digest"]
    os.write(file, DATA[:1000])
    asked = command(registry, f"/v2/x/blobs/{digest}", do="download", size=len(DATA), begin=1000)
    assert (await agent.download(asked, file, Told())).digest == digest
    assert registry.asked[0].headers["Range"] == "bytes=1000-"
    assert content(file) == DATA


async def test_a_registry_without_ranges_is_asked_for_all(agent: Agent, registry: FakeRegistry, file: int) -> None:
    digest = registry.add_blob("x", DATA)["digest"]

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=DATA)

    registry.override["GET", f"/v2/x/blobs/{digest}"] = handler
    os.write(file, b"wrong")
    told = Told()
    asked = command(registry, f"/v2/x/blobs/{digest}", do="download", size=len(DATA), begin=5)
    assert (await agent.download(asked, file, told)).digest == digest
    assert (content(file), told.at[0]) == (DATA, 0)


async def test_a_whole_file_needs_no_question(agent: Agent, registry: FakeRegistry, file: int) -> None:
    os.write(file, DATA)
    asked = command(registry, "/v2/x", do="download", size=len(DATA), begin=len(DATA))
    assert (await agent.download(asked, file, Told())).digest == digest_of(DATA)
    assert registry.asked == []


async def test_a_broken_off_download_keeps_what_came(agent: Agent, registry: FakeRegistry, file: int) -> None:
    digest = registry.add_blob("x", DATA)["digest"]
    path = f"/v2/x/blobs/{digest}"
    registry.override["GET", path] = cut(DATA, 2_000_000)
    with pytest.raises(Exception, match=r".*"):
        await agent.download(command(registry, path, do="download", size=len(DATA)), file, Told())
    kept = len(content(file))
    assert 0 < kept < len(DATA)
    assert content(file) == DATA[:kept]


async def test_uploads(agent: Agent, registry: FakeRegistry, file: int) -> None:
    plain = b"plain" * 100_000
    os.write(file, plain)
    registry.uploads["1"] = bytearray()
    path = f"/v2/x/blobs/uploads/1?digest={digest_of(plain)}"
    said = await agent.upload(command(registry, path, do="upload", method="PUT"), file, Told())
    assert (said.status, said.digest, said.size) == (201, digest_of(plain), len(plain))
    assert registry.asked[-1].headers["Content-Length"] == str(len(plain))
    registry.uploads["2"] = bytearray()
    packed = command(registry, "/v2/x/blobs/uploads/2", do="upload", method="PATCH", compress=True)
    said = await agent.upload(packed, file, Told())
    assert (said.status, said.digest) == (202, digest_of(bytes(registry.uploads["2"])))
    assert gzip.decompress(registry.uploads["2"]) == plain
    assert "Transfer-Encoding" in registry.asked[-1].headers


async def test_certificates(agent: Agent, file: int, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with FakeRegistry().served(authority.server(wants_client=True)) as registry:
        asked = command(registry, "/v2/")
        with pytest.raises(Exception, match="certificate"):
            await agent.exchange(asked, file, Told())
        trust = Trust(authorities=(authority.pem,), certificates=(authority.issue("client"),))
        assert (await agent.exchange(msgspec.structs.replace(asked, trust=trust), file, Told())).status == 200
        for broken in (Trust(authorities=("nonsense",)), Trust(certificates=(("a", "b"),))):
            with pytest.raises(Unknown, match="certificates of the registry"):
                await agent.exchange(msgspec.structs.replace(asked, trust=broken), file, Told())
    async with FakeRegistry().served(authority.server()) as registry:
        trusting = command(registry, "/v2/", trust=Trust(verified=False))
        assert (await agent.exchange(trusting, file, Told())).status == 200


async def test_headers_of_any_size_and_alphabet(agent: Agent, registry: FakeRegistry, file: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        head = b"HTTP/1.1 401 \xff\xfe\r\nContent-Length: 2\r\nWWW-Authenticate: Basic \xff" + b'"' * 20_000 + b"\r\n"
        request.transport.write(head + b"Location: " + b"\\" * 20_000 + b"\r\n\r\n{}")
        request.transport.close()
        return web.Response()

    registry.override["GET", "/v2/"] = handler
    said = await agent.exchange(command(registry, "/v2/", login=USER), file, Told())
    assert said.status == 401
    assert len(msgspec.json.encode(said)) < LONGEST_SAID


async def test_through_a_proxy(agent: Agent, registry: FakeRegistry, file: int) -> None:
    agent._proxies = Proxies(http=f"http://127.0.0.1:{registry.port}")
    asked = msgspec.structs.replace(command(registry, ""), url="http://registry.invalid/v2/")
    assert (await agent.exchange(asked, file, Told())).status == 200
    assert registry.asked[0].headers["Host"] == "registry.invalid"


@asynccontextmanager
async def tunnels(asked: list[bytes], to: int) -> AsyncIterator[str]:
    """The address of a proxy that wants a password, and leads every CONNECT to a port of this machine."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(head := await reader.readuntil(b"\r\n\r\n"))
        if b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        inside, outside = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(pass_on(reader, outside), pass_on(inside, writer))

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_by_tls_through_a_proxy(file: int, tmp_path: Path) -> None:
    """The certificate is the registry's, and the proxy sees nothing but its name."""
    authority, asked = Authority(tmp_path), list[bytes]()
    async with (
        FakeRegistry().served(authority.server(host="registry.invalid")) as registry,
        tunnels(asked, registry.port) as proxy,
    ):
        agent = Agent()
        agent._proxies = Proxies(https=f"http://me:secret@{proxy}")
        trust = Trust(authorities=(authority.pem,))
        there = command(registry, "", url=f"https://registry.invalid:{registry.port}/v2/", trust=trust)
        assert (await agent.exchange(there, file, Told())).status == 200
        assert asked[-1].startswith(f"CONNECT registry.invalid:{registry.port} HTTP/1.1".encode())
        digest = registry.add_blob("x", DATA)["digest"]
        blob = msgspec.structs.replace(there, do="download", url=f"{there.url}x/blobs/{digest}", size=len(DATA))
        os.ftruncate(file, 0)
        assert (await agent.download(blob, file, Told())).digest == digest
        with pytest.raises(Exception, match="certificate"):
            await agent.exchange(msgspec.structs.replace(there, trust=Trust()), file, Told())
        await agent.close()
        refused = Agent()
        refused._proxies = Proxies(https=f"http://{proxy}")
        with pytest.raises(Exception, match="407") as caught:
            await refused.exchange(there, file, Told())
        assert explained(caught.value) == ("", "proxy: 407 Proxy Authentication Required")
        await refused.close()


async def test_silence(agent: Agent, registry: FakeRegistry, file: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x")
        try:
            await registry_ends.wait()
        finally:
            return response  # noqa: B012

    registry_ends = asyncio.Event()
    registry.override["GET", "/v2/"] = handler
    asked = command(registry, "/v2/", patience=0.2, whole=0.3)
    with pytest.raises(TimeoutError):
        await agent.exchange(asked, file, Told())
    with pytest.raises(TimeoutError):
        await agent.download(msgspec.structs.replace(asked, do="download", size=10), file, Told())
    registry_ends.set()
