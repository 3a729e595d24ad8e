"""Images of several platforms under one name, as archives."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

from tests.support.cache import kept_file
from tests.support.debian import packages
from tools.images import Image, busybox_layer, digest, oci_layout
from tools.toolchain.debian import unpack

INDEX = "application/vnd.oci.image.index.v1+json"


def several_platforms(name: str, *images: Image) -> bytes:
    """An OCI layout in which the name (in full, or of Docker Hub's library) stands for an index of the images."""
    full = name if "/" in name else f"docker.io/library/{name}"
    blobs: dict[str, bytes] = {}
    items = []
    for image in images:
        with tarfile.open(fileobj=io.BytesIO(oci_layout(replace(image, tags=("a:1",))))) as archive:
            files = {each.name: archive.extractfile(each).read() for each in archive if each.isfile()}  # type: ignore[union-attr]
        blobs |= {path: data for path, data in files.items() if path.startswith("blobs/")}
        (item,) = json.loads(files["index.json"])["manifests"]
        item.pop("annotations", None)
        items.append(item | {"platform": {"os": "linux", "architecture": image.architecture}})
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": items}).encode()
    blobs[f"blobs/sha256/{digest(index)[7:]}"] = index
    annotations = {"io.containerd.image.name": full, "org.opencontainers.image.ref.name": full.rpartition(":")[2]}
    top = {"mediaType": INDEX, "digest": digest(index), "size": len(index), "annotations": annotations}
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [top]}).encode()
    blobs["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for path, data in sorted(blobs.items()):
            header = tarfile.TarInfo(path)
            header.size = len(data)
            out.addfile(header, io.BytesIO(data))
    return buffer.getvalue()


def busybox_of(architecture: str) -> bytes:
    """The layer of `tools.images.busybox`, of programs for another architecture."""
    return busybox_layer(program_of(architecture))


def program_of(architecture: str) -> Path:
    """Busybox for another architecture, out of Debian's `busybox-static`."""

    def make(folder: Path) -> Path:
        for package in packages(folder / "apt", ("busybox-static",), architecture=architecture):
            unpack(package, folder / "root")
        return next(each for each in (folder / "root").rglob("busybox") if each.is_file() and each.parent.name == "bin")

    return kept_file("foreign", f"busybox-static-{architecture}", make=make)
