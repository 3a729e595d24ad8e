"""HTTP to registries, by aiohttp; runs in the registry helper."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from shared import proxies
from shared.errors import Unknown
from shared.tasks import TaskGroup

from ..domain import registry_answers, registry_auth
from ..domain.registry_answers import RegistryError
from .registry_files import CHUNK, Sink, Source
from .registry_login import Logins, origin
from .registry_trouble import Trouble, explained
from .registry_wire import LONGEST_DOCUMENT, LONGEST_TEXT, Command, Said, Trust

MOST_REDIRECTS = 10
CONNECT_SECONDS = 30.0
SLOWEST = 64
"""Bytes a second; less than that, over as long as a registry may be silent, counts as silence."""
THREADS = 8
PROGRESS_BYTES = 1 << 20
_REDIRECTS = (301, 302, 303, 307, 308)
_TOLD = {
    "Content-Type": 200, "Docker-Content-Digest": 200, "Content-Length": 40, "Location": 8000, "Link": 4000,
    "Retry-After": 40, "Range": 100, "WWW-Authenticate": 4000, "OCI-Subject": 200, "OCI-Filters-Applied": 200,
}  # fmt: skip
"""Headers that the service is told of, and how many characters of each."""
Tell = Callable[[Said], None]


class Agent:
    """Does commands, any number at once, over connections that are kept."""

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Content-Type"),
            max_line_size=32 << 10,
            max_field_size=32 << 10,
            read_bufsize=CHUNK,
        )
        self._logins = Logins(self._document)
        self._proxies = proxies.from_environment(os.environ)
        self._contexts: dict[Trust, ssl.SSLContext] = {}
        self._threads = ThreadPoolExecutor(THREADS)
        self._tasks = TaskGroup("registry")
        self._busy: dict[int, set[asyncio.Future[Any]]] = {}

    async def close(self) -> None:
        await self._session.close()

    async def _in_thread(self, file: int, work: Callable[..., Any], *arguments: Any) -> Any:
        running = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        self._busy.setdefault(file, set()).add(running)
        running.add_done_callback(self._busy[file].discard)
        return await asyncio.shield(running)

    async def settled(self, file: int) -> None:
        """Returns when no thread uses the file any more, whatever became of who waited for it."""
        while running := self._busy.get(file):
            await asyncio.wait(running)
        self._busy.pop(file, None)

    # What a command asks for

    async def exchange(self, command: Command, file: int, tell: Tell) -> Said:
        """One question and its answer, both short."""
        async with asyncio.timeout(command.whole):
            question = os.pread(file, LONGEST_DOCUMENT, 0) or None
            async with self._authorised(command, question) as response:
                if response.status < 400:
                    body = b"" if command.method == "HEAD" else await _body(response, LONGEST_DOCUMENT)
                    os.ftruncate(file, 0)
                    os.pwrite(file, body, 0)
                return await self._said(command, response)

    async def download(self, command: Command, file: int, tell: Tell) -> Said:
        """Adds to the file what it lacks. Without ranges on the other side it starts anew."""
        sink = Sink(file, command.begin)
        await self._in_thread(file, sink.catch_up)
        if sink.at == command.size:
            return Said(id=command.id, kind="answer", status=206, digest=sink.digest, size=sink.at)
        more = {"Range": f"bytes={sink.at}-"} if sink.at else {}
        async with self._authorised(command, None, more) as response:
            if response.status >= 300:
                if response.status == 416:
                    raise Trouble("the registry has fewer bytes than came before", "reset")
                return await self._said(command, response)
            if sink.at and not _continues(response, sink.at):
                sink.restart()
                tell(Said(id=command.id, kind="progress", at=0))
            await self._receive(command, response, file, sink, tell)
        return Said(id=command.id, kind="answer", status=response.status, digest=sink.digest, size=sink.at)

    async def _receive(
        self, command: Command, response: aiohttp.ClientResponse, file: int, sink: Sink, tell: Tell
    ) -> None:
        """The next bytes come while the last are written."""
        writing: asyncio.Task[Any] | None = None
        announced = response.content_length
        if announced is not None and sink.at + announced > command.size:
            raise Trouble(f"{sink.at + announced} bytes are announced instead of {command.size}", "large")
        arrived = sink.at
        try:
            async for piece in _pieces(response, command.patience):
                arrived += len(piece)
                if arrived > command.size:
                    raise Trouble(f"more than the {command.size} bytes announced came", "large")
                if writing is not None:
                    await writing
                    tell(Said(id=command.id, kind="progress", at=sink.at))
                writing = self._tasks.start(self._in_thread(file, sink.take, piece), "write")
        finally:
            if writing is not None:
                await writing
                tell(Said(id=command.id, kind="progress", at=sink.at))

    async def upload(self, command: Command, file: int, tell: Tell) -> Said:
        """Sends the file; the answer tells digest and size of what was sent."""
        source = Source(file, command.compress)
        headers = {} if command.compress else {"Content-Length": str(os.fstat(file).st_size)}
        async with self._authorised(command, self._sent(command, file, source, tell), headers) as response:
            said = await self._said(command, response)
        return _with_content(said, source)

    async def _sent(self, command: Command, file: int, source: Source, tell: Tell) -> AsyncIterator[bytes]:
        pieces = source.pieces()
        told = 0
        while piece := await self._in_thread(file, _next, pieces):
            yield piece
            if source.passed - told >= PROGRESS_BYTES:
                told = source.passed
                tell(Said(id=command.id, kind="progress", at=source.passed))

    # Requests

    @asynccontextmanager
    async def _authorised(
        self, command: Command, data: Any = None, more: dict[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a request, with what the registry wants to see; a challenge is answered once."""
        try:
            authorisation = await self._logins.header(command)
            response = await self._follow(command, authorisation, data, more or {})
            if response.status == 401 and (data is None or isinstance(data, bytes)):
                wanted = tuple(response.headers.getall("WWW-Authenticate", ()))
                if again := await self._logins.challenged(command, wanted):
                    response.release()
                    response = await self._follow(command, again, data, more or {})
        except Unknown as error:
            raise _named(command, error) from None
        try:
            yield response
        finally:
            response.close() if not response.content.at_eof() else response.release()

    async def _document(self, command: Command, data: bytes | None) -> bytes:
        """The body of a token service's answer."""
        response = await self._follow(command, command.headers.get("Authorization", ""), data, {})
        try:
            body = await _body(response, registry_auth.LONGEST_TOKEN_ANSWER)
        finally:
            response.close()
        if response.status >= 400:
            raise registry_answers.refusal(
                response.status, response.reason or "", response.headers.get("Content-Type", ""), body[:LONGEST_TEXT]
            )
        return body

    async def _follow(
        self, command: Command, authorisation: str, data: Any, more: dict[str, str]
    ) -> aiohttp.ClientResponse:
        """The answer at the end of all redirects; only the first origin is told who asks."""
        url, home = command.url, origin(command.url)
        headers = {name: value for name, value in command.headers.items() if name != "Authorization"} | more
        for _ in range(MOST_REDIRECTS + 1):
            own = {"Authorization": authorisation} if authorisation and origin(url) == home else {}
            response = await self._once(command, url, headers | own, data)
            target = response.headers.get("Location", "")
            movable = command.method in ("GET", "HEAD") or data is None
            if response.status not in _REDIRECTS or not target or not movable:
                return response
            response.close()
            url = urljoin(url, target)
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
                raise Trouble(f"redirected to {url[:200]!r}, which is no http or https address", "")
        raise Trouble(f"stopped after {MOST_REDIRECTS} redirects", "")

    async def _once(self, command: Command, url: str, headers: dict[str, str], data: Any) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=min(CONNECT_SECONDS, command.patience), sock_read=command.patience
        )
        context: Any = False
        if urlsplit(url).scheme == "https":
            context = await self._context(command.trust)
        return await self._session.request(
            command.method,
            URL(url, encoded=True),
            headers={"User-Agent": "docker/28.0 (shoal)", "Accept-Encoding": "identity", **headers},
            data=data,
            allow_redirects=False,
            proxy=self._proxies.choose(url) or None,
            ssl=context,
            timeout=timeout,
        )

    async def _context(self, trust: Trust) -> ssl.SSLContext:
        known = self._contexts.get(trust)
        if known is None:
            known = self._contexts[trust] = await asyncio.to_thread(_context, trust)
        return known

    async def _said(self, command: Command, response: aiohttp.ClientResponse) -> Said:
        """What service and registry have to say to each other, the beginning of an error's body included."""
        text = b""
        if response.status >= 400 and command.method != "HEAD":
            text = await _beginning(response)
        headers = {
            name.lower(): _plain(", ".join(response.headers.getall(name)), most)
            for name, most in _TOLD.items()
            if name in response.headers
        }
        return Said(
            id=command.id, kind="answer", status=response.status, reason=_plain(response.reason or "", 100),
            headers=headers, text=text, identity_token=self._logins.identity_token(command),
        )  # fmt: skip


def _plain(text: str, most: int) -> str:
    """What a stranger sent, as text that JSON can hold and a packet has room for."""
    return text[:most].encode("ascii", "replace").decode()


def _named(command: Command, error: Unknown) -> Unknown:
    """As Go's client names it: `Get "URL": what`."""
    text = f'{command.method.capitalize()} "{command.url}": {error.message}'
    if isinstance(error, RegistryError):
        return RegistryError(text, status=error.status, again=error.again and not error.name)
    return RegistryError(text, again=False)


def _next(pieces: Iterator[bytes]) -> bytes:
    return next(pieces, b"")


def _with_content(said: Said, source: Source) -> Said:
    return Said(
        id=said.id, kind=said.kind, status=said.status, reason=said.reason, headers=said.headers, text=said.text,
        digest=source.digest, size=source.size,
    )  # fmt: skip


def _context(trust: Trust) -> ssl.SSLContext:
    """Blocks; raises `Unknown` for certificates that cannot be used."""
    context = ssl.create_default_context() if trust.verified else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Go takes authorities without key identifiers, and so do people
    if not trust.verified:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        for authority in trust.authorities:
            context.load_verify_locations(cadata=authority)
        for certificate, key in trust.certificates:
            _load_pair(context, certificate, key)
    except (ssl.SSLError, ValueError, OSError) as error:
        raise Unknown(f"certificates of the registry: {error}") from None
    return context


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """The library takes files only."""
    sheet = os.memfd_create("pair", os.MFD_CLOEXEC)
    try:
        os.write(sheet, f"{certificate}\n{key}\n".encode())
        context.load_cert_chain(f"/proc/self/fd/{sheet}")
    finally:
        os.close(sheet)


def _continues(response: aiohttp.ClientResponse, begin: int) -> bool:
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {begin}-")


async def _body(response: aiohttp.ClientResponse, most: int) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > most:
            raise Trouble(f"the answer is longer than {most} bytes", "large")
    return bytes(body)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """The first bytes of an error's text; what goes wrong with the rest does not matter."""
    body = bytearray()
    try:
        async for piece in response.content.iter_any():
            body += piece
            if len(body) >= LONGEST_TEXT:
                break
    except (aiohttp.ClientError, TimeoutError):
        pass
    return bytes(body[:LONGEST_TEXT])


async def _pieces(response: aiohttp.ClientResponse, patience: float) -> AsyncIterator[bytes]:
    """The body in pieces of about `CHUNK`; one that trickles is given up."""
    loop = asyncio.get_running_loop()
    piece, since = bytearray(), loop.time()
    window, came = loop.time(), 0
    async for part in response.content.iter_any():
        piece += part
        came += len(part)
        now = loop.time()
        if now - window > patience:
            if came < SLOWEST * patience:
                raise Trouble(f"only {came} bytes came in {now - window:.0f} seconds", "")
            window, came = now, 0
        if len(piece) >= CHUNK or now - since > 0.1:
            yield bytes(piece)
            piece, since = bytearray(), now
    if piece:
        yield bytes(piece)


__all__ = ["Agent", "explained"]
