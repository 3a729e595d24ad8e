"""Registries as Docker's API shows them: credentials, searches, what is there."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from shared.contracts.common import Descriptor, Platform
from shared.contracts.distribution import Credentials, DistributionReply, Referrer, ReferrersReply, SearchReply
from shared.errors import InvalidArgument

from ..http.message import Request


class AuthConfig(msgspec.Struct, rename="lower"):
    """Docker's form of credentials."""

    username: str | None = None
    password: str | None = None
    serveraddress: str | None = None
    identitytoken: str | None = None
    registrytoken: str | None = None

    def credentials(self) -> Credentials:
        return Credentials(
            username=self.username or "",
            password=self.password or "",
            identity_token=self.identitytoken or "",
            registry_token=self.registrytoken or "",
        )


def credentials(request: Request) -> Credentials:
    """Those of `X-Registry-Auth`; what cannot be read counts as none (as dockerd has it)."""
    return decode(request.headers.get("x-registry-auth", ""))


def decode(header: str) -> Credentials:
    """Base64url of an `AuthConfig`, with or without padding."""
    try:
        document = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
        return msgspec.json.decode(document, type=AuthConfig).credentials()
    except (ValueError, binascii.Error, RecursionError):
        return Credentials()


def auth_config(body: dict[str, Any] | None) -> AuthConfig:
    """The body of a login; raises `InvalidArgument`."""
    try:
        return msgspec.convert(body or {}, AuthConfig)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"invalid login: {error}") from None


def limit(text: str) -> int:
    """How many results a search may have; raises `InvalidArgument`."""
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidArgument(f'invalid limit specified: strconv.Atoi: parsing "{text[:50]}": invalid syntax')
    return int(text)


def found(reply: SearchReply) -> list[dict[str, Any]]:
    """The results of a search."""
    return [
        {
            "star_count": each.stars,
            "is_official": each.is_official,
            "name": each.name,
            "is_automated": False,
            "description": each.description,
        }
        for each in reply.results
    ]


def distribution(reply: DistributionReply) -> dict[str, Any]:
    """What a registry has under a name."""
    return {
        "Descriptor": {"mediaType": reply.media_type, "digest": reply.digest, "size": reply.size},
        "Platforms": [_platform(each) for each in reply.platforms] or None,
    }


def referrers(reply: ReferrersReply) -> dict[str, Any]:
    """What refers to an image; content in base64, blobs as their manifest has them."""
    return {"Digest": reply.digest, "Referrers": [_referrer(each) for each in reply.referrers]}


def _referrer(referrer: Referrer) -> dict[str, Any]:
    shown = _descriptor(referrer.descriptor) | {
        "artifactType": referrer.artifact_type,
        "annotations": referrer.descriptor.annotations,
    }
    if referrer.content is None:
        return shown
    content = referrer.content
    blobs = [
        _descriptor(layer) | {"data": _text(data)} for layer, data in zip(content.layers, content.blobs, strict=True)
    ]
    return shown | {"data": _text(content.manifest), "blobs": blobs}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _descriptor(descriptor: Descriptor) -> dict[str, Any]:
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}


def _platform(platform: Platform) -> dict[str, str]:
    shown = {"architecture": platform.architecture, "os": platform.os}
    more = {"os.version": platform.os_version, "variant": platform.variant}
    return shown | {name: value for name, value in more.items() if value}
