"""A registry of our own: what public ones want of a client, and what hostile ones do to it.

It speaks the distribution protocol on a loopback port, keeps everything in memory and remembers every request.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web

from tools import images
from tools.images import Compression, Image

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
Answer = web.StreamResponse
Handler = Callable[[web.Request], Awaitable[Answer]]


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    query: dict[str, str]
    form: dict[str, str] = field(default_factory=dict)


class FakeRegistry:
    """`override[(method, path)]` answers instead; `challenge` goes to who has none of the authorisations `accepted`."""

    def __init__(self) -> None:
        self.port = 0
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.repositories: dict[str, set[str]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.asked: list[Asked] = []
        self.override: dict[tuple[str, str], Handler] = {}
        self.challenge = ""
        self.accepted: set[str] = set()
        self.tokens = 0
        self.refuse_login = False
        self.redirect = ""
        self.mounts = True
        self.referrers = True
        self.scheme = "http"

    @property
    def name(self) -> str:
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}"

    def paths(self, method: str = "GET") -> list[str]:
        return [each.path for each in self.asked if each.method == method]

    # What it holds

    def add_blob(self, repository: str, data: bytes) -> dict[str, Any]:
        digest = images.digest(data)
        self.blobs[digest] = data
        self.repositories.setdefault(repository, set()).add(digest)
        return {"digest": digest, "size": len(data)}

    def add_manifest(self, repository: str, tag: str, document: dict[str, Any] | bytes, media_type: str) -> str:
        data = document if isinstance(document, bytes) else encode(document)
        digest = images.digest(data)
        for reference in (tag, digest):
            self.manifests[repository, reference] = (media_type, data)
        return digest

    def add(
        self,
        repository: str,
        tag: str,
        image: Image,
        compression: Compression = "gzip",
        media_type: str = DOCKER_MANIFEST,
    ) -> str:
        """Puts an image there; the digest of its manifest."""
        return self.add_manifest(repository, tag, self.manifest(repository, image, compression, media_type), media_type)

    def manifest(
        self, repository: str, image: Image, compression: Compression = "gzip", media_type: str = DOCKER_MANIFEST
    ) -> dict[str, Any]:
        kinds = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}
        layer = f"application/vnd.oci.image.layer.v1.tar{kinds[compression]}"
        if media_type == DOCKER_MANIFEST:
            layer = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        config = "application/vnd.docker.container.image.v1+json"
        blobs = [self.add_blob(repository, images.compress(each, compression)) for each in image.layers]
        return {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {"mediaType": config, **self.add_blob(repository, image.config_json)},
            "layers": [{"mediaType": layer, **each} for each in blobs],
        }

    # How it answers

    async def _dispatch(self, request: web.Request) -> Answer:
        asked = Asked(request.method, request.path, dict(request.headers), dict(request.query))
        self.asked.append(asked)
        if (request.method, request.path) in self.override:
            return await self.override[request.method, request.path](request)
        if request.path == "/token":
            return await self._token(request, asked)
        if request.path.startswith("/blobs/"):
            return self._content(request, request.path.removeprefix("/blobs/"))
        if self.challenge and request.headers.get("Authorization", "") not in self.accepted:
            headers = {"WWW-Authenticate": self.challenge.replace("SELF", self.url)}
            return error(401, "UNAUTHORIZED", "authentication required", headers, [])
        return await self._api(request)

    async def _token(self, request: web.Request, asked: Asked) -> Answer:
        if request.method == "POST":
            asked.form = {name: str(value) for name, value in (await request.post()).items()}
        if self.refuse_login:
            return error(401, "UNAUTHORIZED", "incorrect username or password")
        self.tokens += 1
        self.accepted.add(f"Bearer token-{self.tokens}")
        answer = {"token": f"token-{self.tokens}", "access_token": f"token-{self.tokens}", "expires_in": 300}
        if request.query.get("offline_token"):
            answer["refresh_token"] = "refreshed"
        return web.json_response(answer)

    async def _api(self, request: web.Request) -> Answer:
        path = request.path.removeprefix("/v2/")
        if not path:
            return web.json_response({})
        for word, handler in (
            ("/manifests/", self._manifest), ("/blobs/uploads/", self._upload), ("/blobs/", self._blob),
            ("/tags/list", self._tags), ("/referrers/", self._referrers),
        ):  # fmt: skip
            if word in f"/{path}":
                repository, _, rest = path.rpartition(word)
                return await handler(request, repository, rest)
        return error(404, "UNSUPPORTED", "no such thing")

    async def _manifest(self, request: web.Request, repository: str, reference: str) -> Answer:
        if request.method == "PUT":
            data = await request.content.read()
            digest = self.add_manifest(repository, reference, data, request.headers["Content-Type"])
            headers = {"Docker-Content-Digest": digest}
            subject = (json.loads(data).get("subject") or {}).get("digest")
            if subject and self.referrers:
                headers["OCI-Subject"] = subject
            return web.Response(status=201, headers=headers)
        if (repository, reference) not in self.manifests:
            return error(404, "MANIFEST_UNKNOWN", "manifest unknown", detail={"Tag": reference})
        media_type, data = self.manifests[repository, reference]
        headers = {"Docker-Content-Digest": images.digest(data)}
        return web.Response(body=data, content_type=media_type, headers=headers)

    async def _blob(self, request: web.Request, repository: str, digest: str) -> Answer:
        if digest not in self.repositories.get(repository, ()):
            return error(404, "BLOB_UNKNOWN", "blob unknown to registry", detail=digest)
        if self.redirect and request.method == "GET":
            raise web.HTTPTemporaryRedirect(f"{self.redirect}/blobs/{digest}")
        return self._content(request, digest)

    def _content(self, request: web.Request, digest: str) -> Answer:
        data, headers = self.blobs[digest], {"Docker-Content-Digest": digest}
        begin = request.http_range.start
        if begin is None:
            return web.Response(body=data, headers=headers)
        headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        return web.Response(status=206, body=data[begin:], headers=headers)

    async def _tags(self, request: web.Request, repository: str, _: str) -> Answer:
        tags = sorted(tag for name, tag in self.manifests if name == repository and ":" not in tag)
        last = request.query.get("last", "")
        page = [tag for tag in tags if tag > last][:2]
        more = (
            {"Link": f'</v2/{repository}/tags/list?last={page[-1]}>; rel="next"'}
            if page and page[-1] != tags[-1]
            else {}
        )
        return web.json_response({"name": repository, "tags": page}, headers=more)

    async def _referrers(self, request: web.Request, repository: str, digest: str) -> Answer:
        if not self.referrers:
            return error(404, "UNSUPPORTED", "page not found")
        found = []
        for (name, reference), (media_type, data) in self.manifests.items():
            document = json.loads(data)
            if name == repository and ":" in reference and (document.get("subject") or {}).get("digest") == digest:
                kind = document.get("artifactType") or document["config"]["mediaType"]
                found.append({"mediaType": media_type, "digest": reference, "size": len(data), "artifactType": kind,
                              "annotations": document.get("annotations", {})})  # fmt: skip
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found}
        return web.Response(body=encode(index), content_type=OCI_INDEX)

    async def _upload(self, request: web.Request, repository: str, number: str) -> Answer:
        if request.method == "POST":
            source, digest = request.query.get("from", ""), request.query.get("mount", "")
            if self.mounts and digest in self.repositories.get(source, ()):
                self.repositories.setdefault(repository, set()).add(digest)
                return web.Response(status=201, headers={"Docker-Content-Digest": digest})
            number = uuid.uuid4().hex
            self.uploads[number] = bytearray()
        else:
            self.uploads[number] += await request.content.read()
        headers = {"Location": f"/v2/{repository}/blobs/uploads/{number}?state=x", "Docker-Upload-UUID": number}
        if request.method != "PUT":
            return web.Response(status=202, headers=headers)
        data = bytes(self.uploads.pop(number))
        if images.digest(data) != request.query["digest"]:
            return error(400, "DIGEST_INVALID", "provided digest did not match uploaded content", detail="x")
        self.add_blob(repository, data)
        return web.Response(status=201, headers={"Docker-Content-Digest": images.digest(data)})

    @asynccontextmanager
    async def served(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeRegistry]:
        self.scheme = "https" if tls else "http"
        runner = web.ServerRunner(
            web.Server(cast(Any, self._dispatch), handler_cancellation=True), handle_signals=False, shutdown_timeout=0.1
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


def error(
    status: int, code: str, message: str, headers: dict[str, str] | None = None, detail: Any = None
) -> web.Response:
    """A registry's refusal."""
    return web.json_response(
        {"errors": [{"code": code, "message": message, "detail": detail}]}, status=status, headers=headers
    )


def encode(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def bearer(registry: FakeRegistry, **more: str) -> None:
    """Makes a registry want tokens of its own token service."""
    registry.challenge = 'Bearer realm="SELF/token",service="registry",scope="repository:x:pull"'


def cut(data: bytes, at: int) -> Handler:
    """Sends the first bytes of what was promised, and hangs up."""

    async def handler(request: web.Request) -> Answer:
        begin = request.http_range.start or 0
        response = web.StreamResponse(status=206 if begin else 200)
        response.content_length = len(data) - begin
        if begin:
            response.headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        await response.prepare(request)
        await response.write(data[begin : begin + at])
        await asyncio.sleep(0)
        assert request.transport is not None
        request.transport.abort() if at == 0 else request.transport.close()
        return response

    return handler
