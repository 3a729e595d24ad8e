"""Images for another platform than the host's."""

from __future__ import annotations

from shared.contracts.common import Platform

_ALSO = {"amd64": ("386",), "arm64": ("arm",)}
"""What processors run besides their own architecture."""


def mismatch(image: Platform, host: Platform, asked: Platform | None) -> tuple[str, ...]:
    """Docker's warning for a container of an image that the host does not run by itself, and nobody asked for."""
    runs = ("", host.architecture, *_ALSO.get(host.architecture, ()))
    if asked is not None or (image.os == host.os and image.architecture in runs):
        return ()
    return (
        f"The requested image's platform ({_text(image)}) does not match the detected host platform ({_text(host)}) "
        "and no specific platform was requested",
    )


def _text(platform: Platform) -> str:
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)
