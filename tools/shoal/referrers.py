"""`shoal referrers`."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from shared import config
from shared.errors import FailedPrecondition, NotFound
from shared.reference import DEFAULT_DOMAIN, parse

from .api import call
from .options import Config

HUB_ENTRY = "https://index.docker.io/v1/"
"""Where Docker's clients keep the credentials of Docker Hub."""


def command(
    image: Annotated[str, typer.Argument(help="Name in its registry, as `docker pull` takes it.")],
    digest: Annotated[str, typer.Argument(help="Of one referrer, or the beginning of it: what it holds.")] = "",
    kind: Annotated[str, typer.Option("--type", help="Only referrers of this artifact type.")] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A new folder for all it holds.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API says.")] = False,
    config_file: Config = None,
) -> None:
    """Show or fetch what refers to an image in its registry: signatures, SBOMs, attestations (OCI referrers).

    Nothing has to be pulled for it, and nothing is kept: the registry is asked, by its referrers API or, where it has
    none, by the tag that clients keep instead (`sha256-<digest>`).

    \b
        shoal referrers registry.example/app:1               digests and artifact types, one a line
        shoal referrers registry.example/app:1 --type application/spdx+json
        shoal referrers registry.example/app:1 sha256:3f2a   the one thing that this referrer holds, as it is
        shoal referrers registry.example/app:1 sha256:3f2a -o sbom

    With --output, the folder gets manifest.json and a file for each blob, named by the hexadecimal of its digest. All
    digests are verified. At most 512 KiB of content come in one call. Exit code 1 with the reason when the image or the
    referrer is not there.

    Credentials are those that `docker login` has written to config.json (DOCKER_CONFIG, else ~/.docker); those in a
    credential helper are not asked for.

    The same by the API: GET /distribution/{name}/referrers (gateway/README.md).
    """  # noqa: D301  # a backspace: the lines after it are shown as they are
    path = config.load(config_file).socket_path
    found = asked(path, image, type=kind)
    if digest:
        chosen = one(found["Referrers"], digest)["digest"]
        found = asked(path, image, digest=chosen, content="1")
    if as_json:
        print(json.dumps(found))
    elif not digest:
        for line in lines(found["Referrers"]):
            print(line)
    elif output is not None:
        write(found["Referrers"][0], output)
    else:
        sys.stdout.buffer.write(only_blob(found["Referrers"][0]))


def asked(path: Path, image: str, **query: str) -> Any:
    """What the engine says; raises as `api.call`."""
    target = f"/distribution/{quote(image)}/referrers?{urlencode({name: each for name, each in query.items() if each})}"
    return call(path, "GET", target, headers=login(parse(image).domain))


def login(domain: str) -> dict[str, str]:
    """The header with what a client has kept for a registry, where it has."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        kept = json.loads((folder / "config.json").read_bytes()).get("auths", {})
        entry = kept.get(HUB_ENTRY if domain == DEFAULT_DOMAIN else domain) or {}
        user, _, password = base64.b64decode(entry.get("auth", "")).decode().partition(":")
    except (OSError, ValueError, AttributeError):
        return {}
    said = {"username": user, "password": password, "identitytoken": entry.get("identitytoken", "")}
    if not any(said.values()):
        return {}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(said).encode()).decode()}


def one(referrers: Sequence[Any], digest: str) -> Any:
    """The referrer whose digest begins so. Raises `NotFound` for none, `FailedPrecondition` for several."""
    beginning = digest if digest.startswith("sha256:") else f"sha256:{digest}"
    found = [each for each in referrers if each["digest"].startswith(beginning)]
    if not found:
        raise NotFound(f"no referrer's digest begins with {beginning}; all there are: leave the digest out")
    if len(found) > 1:
        raise FailedPrecondition(f"{len(found)} referrers' digests begin with {beginning}")
    return found[0]


def lines(referrers: Iterable[Any]) -> list[str]:
    """Digest and artifact type."""
    return [f"{each['digest']}  {each['artifactType'] or '-'}" for each in referrers]


def only_blob(referrer: Any) -> bytes:
    """What a referrer with one blob holds."""
    blobs = referrer.get("blobs", [])
    if len(blobs) != 1:
        raise FailedPrecondition(f"{referrer['digest']} holds {len(blobs)} blobs; write them to a folder: --output")
    return base64.b64decode(blobs[0]["data"])


def write(referrer: Any, folder: Path) -> None:
    """Manifest and blobs, each under its digest: what a registry names them is not used for names of files."""
    try:
        folder.mkdir()
    except OSError as error:
        raise FailedPrecondition(f"cannot make the folder {folder}: {error.strerror}") from None
    (folder / "manifest.json").write_bytes(base64.b64decode(referrer["data"]))
    for blob in referrer["blobs"]:
        (folder / blob["digest"].partition(":")[2]).write_bytes(base64.b64decode(blob["data"]))
