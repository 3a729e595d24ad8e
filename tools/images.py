"""Images made here, from Debian's static busybox: no registry is needed.

`docker_archive` is what `docker load` of any engine takes, `oci_layout` the form that `docker save` writes since 25.0
and that skopeo and buildah write. Layers are plain, gzip or zstd.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import zstandard

BUSYBOX = Path("/bin/busybox")
CREATED = "2026-01-01T00:00:00Z"
PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
    "alice:x:1000:1000:Alice:/home/alice:/bin/sh\n"
    "nobody:x:65534:65534:nobody:/home:/bin/false\n"
)
GROUP = "root:x:0:\ndaemon:x:1:\nstaff:x:50:alice\nalice:x:1000:\nnobody:x:65534:\n"
DIRECTORIES: Mapping[str, int] = {
    "bin": 0o755,
    "dev": 0o755,
    "etc": 0o755,
    "home": 0o755,
    "home/alice": 0o755,
    "lib": 0o755,
    "proc": 0o755,
    "root": 0o700,
    "sys": 0o755,
    "tmp": 0o1777,
    "usr": 0o755,
    "usr/sbin": 0o755,
    "var": 0o755,
    "var/data": 0o755,
}

Compression = Literal["none", "gzip", "zstd"]


@dataclass(frozen=True)
class Image:
    """What an archive holds: layers as plain tar bytes, the configuration, its tags."""

    layers: Sequence[bytes]
    config: Mapping[str, object] = field(default_factory=dict)
    tags: Sequence[str] = ("busybox:latest",)
    architecture: str = "amd64"

    @property
    def config_json(self) -> bytes:
        """The OCI image configuration; its SHA-256 is the image's id."""
        document = {
            "architecture": self.architecture,
            "os": "linux",
            "created": CREATED,
            "config": dict(self.config),
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in self.layers]},
            "history": [
                {"created": CREATED, "created_by": f"/bin/sh -c #(nop) ADD layer {number} in / "}
                for number, _ in enumerate(self.layers)
            ],
        }
        return json.dumps(document, separators=(",", ":")).encode()

    @property
    def id(self) -> str:
        return digest(self.config_json)


def digest(data: bytes) -> str:
    """OCI digest: `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(
    name: str,
    data: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    mode: int = 0o644,
    link: str = "",
    uid: int = 0,
    gid: int = 0,
    device: tuple[int, int] = (0, 0),
    pax: Mapping[str, str] | None = None,
) -> tuple[tarfile.TarInfo, bytes]:
    """One tar entry, any name and any type: also such as no honest archive holds."""
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname, info.uid, info.gid = kind, mode, link, uid, gid
    info.devmajor, info.devminor = device
    info.size = len(data)
    info.mtime = 1767225600
    info.pax_headers = dict(pax or {})
    return info, data


def directory(name: str, mode: int = 0o755) -> tuple[tarfile.TarInfo, bytes]:
    """A directory entry."""
    return entry(name, kind=tarfile.DIRTYPE, mode=mode)


def symlink(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    """A symbolic link entry."""
    return entry(name, kind=tarfile.SYMTYPE, link=target, mode=0o777)


def tar(entries: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """The entries as an uncompressed PAX archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@cache
def busybox_layer(program: Path = BUSYBOX) -> bytes:
    """A root file system: busybox (or another file of it), a link for each applet, users alice and nobody."""
    applets = subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split()
    entries = [directory(name, mode) for name, mode in DIRECTORIES.items()]
    entries.append(entry("bin/busybox", program.read_bytes(), mode=0o755))
    entries += [symlink(f"bin/{name}", "busybox") for name in applets if name != "busybox"]
    entries += [entry("etc/passwd", PASSWD.encode()), entry("etc/group", GROUP.encode())]
    entries += [entry("var/data/seed", b"from the image\n", uid=1000, gid=1000)]
    entries += [entry("etc/not-executable", b"#!/bin/sh\necho no\n")]
    return tar(entries)


@cache
def busybox(*tags: str) -> Image:
    """The image of all tests: `sh`, PATH as every base image sets it."""
    config = {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["sh"]}
    return Image((busybox_layer(),), config, tags or ("busybox:latest",))


def compress(data: bytes, compression: Compression) -> bytes:
    """The blob of a layer."""
    if compression == "gzip":
        return gzip.compress(data, 1, mtime=0)
    if compression == "zstd":
        return zstandard.ZstdCompressor(level=1).compress(data)
    return data


def docker_archive(image: Image, compression: Compression = "none") -> bytes:
    """The archive that `docker save` wrote before 25.0: manifest.json, `<id>.json`, `<layer>/layer.tar`."""
    name = image.id.removeprefix("sha256:")
    layers = {f"{digest(layer)[7:]}/layer.tar": compress(layer, compression) for layer in image.layers}
    manifest = [{"Config": f"{name}.json", "RepoTags": list(image.tags), "Layers": list(layers)}]
    entries = [entry(f"{name}.json", image.config_json)]
    for path, data in layers.items():
        entries += [directory(path.partition("/")[0]), entry(path, data)]
    return tar([*entries, entry("manifest.json", json.dumps(manifest).encode())])


_LAYER_TYPES: Mapping[Compression, str] = {
    "none": "application/vnd.oci.image.layer.v1.tar",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}


def _descriptor(media_type: str, data: bytes, **more: object) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


def oci_layout(image: Image, compression: Compression = "gzip") -> bytes:
    """An OCI image layout (image-spec 1.1) as one tar; tags are in the annotations that containerd and Docker read."""
    layers = [compress(layer, compression) for layer in image.layers]
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": _descriptor("application/vnd.oci.image.config.v1+json", image.config_json),
            "layers": [_descriptor(_LAYER_TYPES[compression], layer) for layer in layers],
        }
    ).encode()
    references = [
        _descriptor(
            manifest_type,
            manifest,
            annotations={
                "io.containerd.image.name": f"docker.io/library/{tag}",
                "org.opencontainers.image.ref.name": tag.rpartition(":")[2],
            },
        )
        for tag in image.tags
    ]
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": references}
    entries = [directory("blobs"), directory("blobs/sha256")]
    entries += [entry(f"blobs/sha256/{digest(blob)[7:]}", blob) for blob in (image.config_json, *layers, manifest)]
    entries += [entry("index.json", json.dumps(index).encode())]
    return tar([*entries, entry("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')])
