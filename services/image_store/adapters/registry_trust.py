"""Certificates for registries, from folders as dockerd reads them."""

from __future__ import annotations

from pathlib import Path

from shared.errors import InvalidArgument

from .registry_wire import Trust

MOST_BYTES = 4 << 20


def trust_of(folder: Path, host: str, verified: bool) -> Trust:
    """What `<folder>/<host>` holds: authorities in `*.crt`, our certificates in `*.cert` with a `*.key` each.

    Raises `InvalidArgument` in dockerd's words for a certificate without key, and the reverse.
    """
    if not verified:
        return Trust(verified=False)
    try:
        names = sorted(path.name for path in (folder / host).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return Trust()
    return Trust(
        authorities=tuple(_read(folder / host / name) for name in names if name.endswith(".crt")),
        certificates=tuple(_pair(folder / host, name, names) for name in names if name.endswith((".cert", ".key"))
                           and not (name.endswith(".key") and name[:-4] + ".cert" in names)),
    )  # fmt: skip


def _pair(folder: Path, name: str, names: list[str]) -> tuple[str, str]:
    if name.endswith(".key"):
        raise InvalidArgument(f"missing client certificate {name[:-4]}.cert for key {name}")
    key = name[:-5] + ".key"
    if key not in names:
        raise InvalidArgument(
            f"missing key {key} for client certificate {name}. CA certificates must use the extension .crt"
        )
    return _read(folder / name), _read(folder / key)


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise InvalidArgument(f"certificates of the registry: {path}: {error.strerror}") from None
