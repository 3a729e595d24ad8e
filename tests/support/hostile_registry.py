"""A registry that lies, stalls, hangs up or never ends: attacks by name, each with the error it should meet."""

from __future__ import annotations

import asyncio
import gzip
import json
import tarfile
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from tests.support.fake_registry import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    FakeRegistry,
    bearer,
    cut,
    encode,
    error,
)
from tests.support.hostile import bomb, sparse_bomb
from tools.images import Image, compress, entry, tar

Document = dict[str, Any]


class Hostile:
    """The registry, and its image `a:1` that is spoilt.

    `layer` is a good one, another for each attack: what came of the one before helps nobody.
    """

    def __init__(self, registry: FakeRegistry) -> None:
        self.registry, self.layer = registry, b""

    @property
    def name(self) -> str:
        return f"{self.registry.name}/a:1"

    def begin(self, name: str) -> None:
        """Forgets what was spoilt."""
        self.layer = tar([entry("good", f"{name} ".encode() * 1000)])
        self.registry.override.clear()
        self.registry.manifests.clear()
        self.registry.challenge = ""

    def put(self, document: Document | bytes, media_type: str = DOCKER_MANIFEST) -> str:
        return self.registry.add_manifest("a", "1", document, media_type)

    def good(self) -> Document:
        return self.registry.manifest("a", Image((self.layer,), {"Cmd": ["x"]}))

    def config(self, data: bytes) -> None:
        """The image with this for a configuration."""
        document = self.good()
        document["config"] |= self.registry.add_blob("a", data)
        self.put(document)

    def answer(self, path: str, how: Handler) -> None:
        self.registry.override["GET", path] = how


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Attack = Callable[[Hostile], object]
Attacks = Mapping[str, tuple[Attack, str]]
"""What spoils the registry, and a pattern that the error matches."""


def changed(part: str, **more: Any) -> Attack:
    """The manifest of a good image with something else said of a layer or of the configuration."""

    def attack(hostile: Hostile) -> None:
        document = hostile.good()
        (document["layers"][0] if part == "layer" else document["config"]).update(more)
        hostile.put(document)

    return attack


def resized(part: str, by: int) -> Attack:
    def attack(hostile: Hostile) -> None:
        document = hostile.good()
        (document["layers"][0] if part == "layer" else document["config"])["size"] += by
        hostile.put(document)

    return attack


def confused(part: str) -> Attack:
    """Other bytes, as many, than the digest stands for."""

    def attack(hostile: Hostile) -> None:
        document = hostile.good()
        digest = (document["layers"][0] if part == "layer" else document["config"])["digest"]
        data = hostile.registry.blobs[digest]
        hostile.registry.blobs[digest] = bytes(reversed(data))
        hostile.put(document)

    return attack


def indexed(*, lie: bool = False, media_type: str = DOCKER_MANIFEST, size: int = 0, times: int = 1) -> Attack:
    def attack(hostile: Hostile) -> None:
        digest = hostile.registry.add_manifest("a", "inner", hostile.good(), DOCKER_MANIFEST)
        data = hostile.registry.manifests["a", digest][1]
        if lie:
            hostile.registry.manifests["a", digest] = (DOCKER_MANIFEST, data.replace(b'"x"', b'"y"') + b" ")
        item = {"mediaType": DOCKER_MANIFEST, "digest": digest, "size": len(data) + size,
                "platform": {"os": "linux", "architecture": "amd64"}}  # fmt: skip
        hostile.put({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [item] * times}, OCI_INDEX)

    return attack


def nested(hostile: Hostile) -> None:
    """Indexes in indexes, ten deep."""
    item: Document = {"mediaType": DOCKER_MANIFEST, "digest": hostile.put(hostile.good())}
    for _ in range(10):
        item["size"] = len(hostile.registry.manifests["a", item["digest"]][1])
        document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [item]}
        item = {"mediaType": OCI_INDEX, "digest": hostile.put(document, OCI_INDEX)}


def both(hostile: Hostile) -> None:
    """A document that is an image to one reader and an index to another (CVE-2021-41190)."""
    document = hostile.good()
    item = {"mediaType": DOCKER_MANIFEST, "digest": document["config"]["digest"], "size": 1}
    hostile.put({**document, "manifests": [item]})


def as_index(hostile: Hostile) -> None:
    hostile.put({**hostile.good(), "mediaType": OCI_INDEX}, OCI_INDEX)


def said_otherwise(hostile: Hostile) -> None:
    hostile.put({**hostile.good(), "mediaType": OCI_MANIFEST}, DOCKER_MANIFEST)


def many(count: int) -> Attack:
    def attack(hostile: Hostile) -> None:
        document = hostile.good()
        hostile.put({**document, "layers": document["layers"] * count})

    return attack


def raw(data: bytes) -> Attack:
    return lambda hostile: hostile.put(data)


def configured(**more: Any) -> Attack:
    return lambda hostile: hostile.config(encode({**json.loads(Image((hostile.layer,), {}).config_json), **more}))


def raw_config(data: bytes) -> Attack:
    return lambda hostile: hostile.config(data)


DIGEST = "sha256:" + "0" * 64
DOCUMENTS: Attacks = {
    "a layer that is longer than said": (resized("layer", -1), "announced instead of|verification failed"),
    "a layer that is shorter than said": (resized("layer", 1), "unexpected EOF|fewer bytes"),
    "a configuration of another size": (resized("config", 1), "image config verification failed"),
    "a negative size": (changed("layer", size=-1), "a size of -1 bytes"),
    "a size beyond all disks": (changed("layer", size=1 << 62), "a size of"),
    "a size that is no number": (changed("layer", size="1"), "invalid"),
    "a configuration of a gigabyte": (changed("config", size=1 << 30), "at most"),
    "another layer than said": (confused("layer"), "filesystem layer verification failed"),
    "another configuration than said": (confused("config"), "verification failed for digest"),
    "a digest that is a path": (changed("layer", digest="sha256:../../../../etc/passwd"), "digest"),
    "a digest of another kind": (changed("layer", digest="md5:" + "0" * 32), "digest"),
    "a digest in capitals": (changed("layer", digest=DIGEST.replace("0", "A")), "digest"),
    "no digest": (changed("config", digest=""), "digest"),
    "a layer that is nowhere": (changed("layer", digest=DIGEST), "blob unknown"),
    "another manifest than the index says": (indexed(lie=True), "verification failed for digest"),
    "a manifest of another size than the index says": (indexed(size=5), "were announced"),
    "an index with too many manifests": (indexed(times=1001), "more than 1000 manifests"),
    "indexes in indexes": (nested, "nested deeper"),
    "a manifest that is an index too": (both, "is no image manifest"),
    "a manifest that came as an index": (as_index, "is no index"),
    "a manifest that says it is another": (said_otherwise, "came as .* and says it is"),
    "a foreign layer": (
        changed("layer", mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", urls=["file:///etc"]),
        "is a foreign layer",
    ),
    "a layer of no known kind": (changed("layer", mediaType="application/x-sh"), "unsupported media type"),
    "an encrypted layer": (
        changed("layer", mediaType="application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), "unsupported media type",
    ),
    "no image": (changed("config", mediaType="application/vnd.cncf.helm.config.v1+json"), "unsupported media type"),
    "ten thousand layers": (many(10_000), "at most"),
    "no json": (raw(b"\0\1\2"), "invalid"),
    "deep json": (raw(b"[" * 1_000_000), "invalid|deep"),
    "deep json in what is not looked at": (
        raw(b'{"schemaVersion":2,"x":' + b'{"a":' * 500_000 + b"1" + b"}" * 500_000 + b"}"), "invalid|deep|recursion",
    ),
    "a manifest of many megabytes": (raw(b'{"x":"' + b"x" * (20 << 20) + b'"}'), "longer than"),
    "a configuration of many megabytes": (raw_config(b'{"x":"' + b"x" * (20 << 20) + b'"}'), "at most"),
    "a configuration that is none": (raw_config(b"\0"), "invalid"),
    "a deep configuration": (raw_config(b'{"config":' + b'{"a":' * 500_000), "invalid|deep|recursion"),
    "a configuration without layers": (configured(rootfs={"type": "layers", "diff_ids": []}), "don't match"),
    "a configuration with a path for a layer": (configured(rootfs={"diff_ids": ["../../etc"]}), "digest"),
    "a configuration with another layer": (configured(rootfs={"diff_ids": [DIGEST]}), "don't match"),
    "a configuration for another system": (configured(os="windows"), "operating system"),
}  # fmt: skip


def of_layer(layer: bytes) -> Attack:
    """A good layer and above it this one, as it is; its diff id is that of the plain archive where it is one."""

    def attack(hostile: Hostile) -> None:
        document = hostile.registry.manifest("a", Image((hostile.layer, layer)), "none")
        hostile.put(document)

    return attack


def packed(layer: bytes, plain: str = DIGEST) -> Attack:
    """A compressed layer; what it unpacks to is not needed before it is refused."""

    def attack(hostile: Hostile) -> None:
        document = hostile.good()
        document["layers"][0] |= hostile.registry.add_blob("a", layer)
        config = json.loads(Image((hostile.layer,), {}).config_json)
        config["rootfs"]["diff_ids"] = [plain]
        document["config"] |= hostile.registry.add_blob("a", encode(config))
        hostile.put(document)

    return attack


LAYERS: Attacks = {
    "a bomb of gzip": (packed(bomb("gzip", 1 << 30)), "max_unpack"),
    "a bomb of zstd": (packed(bomb("zstd", 1 << 30)), "max_unpack"),
    "bombs one after another": (packed(bomb("zstd", 64 << 20) * 20), "max_unpack|verification|don't match|invalid"),
    "a sparse file of a terabyte": (of_layer(tar([sparse_bomb()])), "failed to register layer"),
    "too many entries": (of_layer(tar([entry(f"{number}") for number in range(20_100)])), "max_unpack_entries"),
    "a name that leads out": (
        of_layer(tar([entry("../../../../../../../tmp/escaped", b"x")])), "failed to register layer",
    ),
    "a hard link that leads out": (
        of_layer(tar([entry("h", kind=tarfile.LNKTYPE, link="../../../../etc/passwd")])), "failed to register layer",
    ),
    "a huge extended header": (
        of_layer(tar([entry("x", pax={"comment": "x" * (2 << 20)})])), "failed to register layer",
    ),
    "a name of a megabyte": (of_layer(tar([entry("n" * (1 << 20))])), "failed to register layer"),
    "an unknown kind of entry": (of_layer(tar([entry("a", kind=b"Z")])), "failed to register layer"),
    "a file under a file": (of_layer(tar([entry("a"), entry("a/b")])), "failed to register layer"),
    "an archive that is cut": (of_layer(tar([entry("a", b"x" * 5000)])[:3000]), "failed to register layer"),
    "no archive": (of_layer(b"\1" * 4096), "failed to register layer"),
    "no compression": (packed(b"\x1f\x8b" + b"x" * 1000), "failed to register layer"),
    "a compressed layer that is cut": (
        packed(compress(tar([entry("x", bytes(5000))]), "gzip")[:-20]), "failed to register layer",
    ),
    "a whiteout of dot dot": (of_layer(tar([entry("d/.wh..."), entry("d/.wh..")])), "failed to register layer"),
}  # fmt: skip


async def endless(request: web.Request, status: int = 200, piece: bytes = b" " * 65536) -> web.StreamResponse:
    response = web.StreamResponse(status=status)
    await response.prepare(request)
    try:
        while True:
            await response.write(piece)
    except ConnectionError:
        return response


async def silent(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(600)
    raise AssertionError


async def stuck(request: web.Request) -> web.StreamResponse:
    """A few bytes, then none."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"{")
    await asyncio.sleep(600)
    return response


async def dripping(request: web.Request) -> web.StreamResponse:
    """A byte now and then, for ever."""
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.05)
    except ConnectionError:
        return response


def spoken(data: bytes, times: int = 1) -> Handler:
    """These bytes instead of an answer."""

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        for _ in range(times):
            request.transport.write(data)
            await asyncio.sleep(0)
        request.transport.close()
        return web.Response()

    return handler


async def zipped(request: web.Request) -> web.StreamResponse:
    """A small body that says of itself it is a gigabyte, compressed."""
    return web.Response(body=gzip.compress(bytes(64 << 20)), headers={"Content-Encoding": "gzip"})


def on(what: str, how: Handler) -> Attack:
    """Answers so when it is asked for the manifest, the configuration, or the layer."""

    def attack(hostile: Hostile) -> None:
        document = hostile.good()
        hostile.put(document)
        paths = {
            "manifest": "/v2/a/manifests/1", "config": f"/v2/a/blobs/{document['config']['digest']}",
            "layer": f"/v2/a/blobs/{document['layers'][0]['digest']}",
        }  # fmt: skip
        hostile.answer(paths[what], how)

    return attack


def to(target: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": target})

    return handler


def on_token(how: Handler) -> Attack:
    def attack(hostile: Hostile) -> None:
        hostile.put(hostile.good())
        bearer(hostile.registry)
        hostile.answer("/token", how)

    return attack


async def endless_error(request: web.Request) -> web.StreamResponse:
    return await endless(request, 500)


async def too_much(request: web.Request) -> web.StreamResponse:
    return error(429, "TOOMANYREQUESTS", "You have reached your pull rate limit.", {"Retry-After": "999999999"})


HEAD = b"HTTP/1.1 200 OK\r\n"
WIRE: Attacks = {
    "a manifest without end": (on("manifest", endless), "longer than"),
    "a configuration without end": (on("config", endless), "longer than"),
    "a layer without end": (on("layer", endless), "more than the .* bytes announced"),
    "an error without end": (on("manifest", endless_error), "unexpected HTTP status: 500"),
    "a token without end": (on_token(endless), "longer than"),
    "hanging up": (on("manifest", spoken(b"")), "EOF|reset"),
    "hanging up in a layer": (on("layer", cut(b"x" * 2000, 100)), "EOF|reset|announced|verification"),
    "no http": (on("manifest", spoken(b"\x00\x01\x02 nonsense\r\n\r\n")), "malformed HTTP|EOF"),
    "headers without end": (
        on("manifest", spoken(HEAD + b"X-Y: " + b"z" * 65536 + b"\r\n", 400)), "malformed HTTP|EOF|reset",
    ),
    "a chunk of an exabyte": (
        on("manifest", spoken(HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nx")), "EOF|malformed|reset",
    ),
    "a length of an exabyte": (
        on("manifest", spoken(HEAD + b"Content-Length: 1152921504606846975\r\n\r\nx")), "EOF|longer|reset",
    ),
    "two lengths": (
        on("manifest", spoken(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy")),
        "malformed|EOF|invalid|reset",
    ),
    "a compressed body": (on("manifest", zipped), "longer than|invalid"),
    "redirects without end": (on("manifest", to("/v2/a/manifests/1")), "stopped after 10 redirects"),
    "a redirect to a file": (on("layer", to("file:///etc/shadow")), "redirected to"),
    "a redirect to nobody": (on("layer", to("http://127.0.0.1:1/x")), "connection refused"),
    "a pause of thirty years": (on("layer", too_much), "toomanyrequests: You have reached your pull rate limit"),
}  # fmt: skip


STALLS: Attacks = {
    "silence": (on("manifest", silent), "timeout"),
    "silence instead of a layer": (on("layer", silent), "timeout"),
    "a layer that stops coming": (on("layer", stuck), "timeout"),
    "a configuration that stops coming": (on("config", stuck), "timeout"),
    "a layer that drips": (on("layer", dripping), "bytes came in|announced|timeout"),
    "a manifest that drips": (on("manifest", dripping), "timeout"),
}
