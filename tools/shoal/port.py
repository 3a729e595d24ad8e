"""`shoal port`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
import typer

from shared import config
from shared.errors import InvalidArgument

from .api import call
from .options import Config

Bindings = dict[str, list[dict[str, str]]]
PROTOCOLS = ("tcp", "udp", "sctp")


def command(
    container: Annotated[str, typer.Argument(help="Name or id, as any Docker client takes it.")],
    action: Annotated[str, typer.Argument(metavar="[add|rm]", help="Without it, the ports are shown.")] = "",
    ports: Annotated[
        list[str] | None, typer.Argument(metavar="[PORT]...", help="As `docker run -p` takes them.")
    ] = None,
    config_file: Config = None,
) -> None:
    """Show or change the published ports of a container, while it runs.

    No other engine can do this: with them, a container has to be made anew for one more port.

    \b
        shoal port web                        what is published
        shoal port web add 8080:80            port 8080 of the host leads to port 80 of the container
        shoal port web add 127.0.0.1:53:53/udp '[::1]:8080:80'
        shoal port web add 80                 a free port of the host, told in the answer
        shoal port web rm 8080:80             no longer published there; other ports of the container stay
        shoal port web rm 80                  port 80 of the container is no longer published at all
        shoal port web add 8000-8003:80-83

    The change is kept with the container: `docker inspect` shows it, restarts of the container and of the engine keep
    it. Connections through ports that stay go on; those through a port that goes end. Several changes in one call
    are all made, or none. Exit code 1 with the reason when a port is taken or not published.

    The same by the API: POST /containers/{id}/ports (gateway/README.md).
    """  # noqa: D301  # a backspace: the lines after it are shown as they are
    path = config.load(config_file).socket_path
    target = f"/containers/{quote(container, safe='')}"
    if not action:
        shown = call(path, "GET", f"{target}/json")["NetworkSettings"]["Ports"]
    elif action in ("add", "rm") and ports:
        body = {"Add" if action == "add" else "Remove": bindings(ports, action)}
        shown = call(path, "POST", f"{target}/ports", msgspec.json.encode(body))["Ports"]
    else:
        raise InvalidArgument("shoal port CONTAINER [add|rm PORT...]; examples: shoal port --help")
    for line in lines(shown):
        print(line)


def bindings(ports: Sequence[str], action: str) -> Bindings:
    """`[ADDRESS:][HOST PORT:]PORT[/PROTOCOL]`, with ranges of equal length, in the API's form.

    A port of the container alone is, to add, a free port of the host's; to remove, all that it is published at.
    """
    found: Bindings = {}
    whole: set[str] = set()
    for text in ports:
        for port, place in _parse(text):
            found.setdefault(port, []).append(place)
            whole |= {port} if action == "rm" and not any(place.values()) else set()
    return {port: [] if port in whole else places for port, places in found.items()}


def _parse(text: str) -> Iterable[tuple[str, dict[str, str]]]:
    rest, _, protocol = text.partition("/")
    protocol = protocol or "tcp"
    if protocol not in PROTOCOLS:
        raise InvalidArgument(f"invalid protocol in {text!r}: tcp, udp or sctp")
    left, _, own = rest.rpartition(":")
    address, _, host = (left, "", "") if left.endswith("]") else left.rpartition(":")
    address = address.strip("[]")
    inner, outer = _range(own, text), _range(host, text) if host else None
    if outer is None:
        return [(f"{port}/{protocol}", _place(address, "")) for port in inner]
    if len(outer) == len(inner):
        pairs = zip(inner, outer, strict=True)
        return [(f"{port}/{protocol}", _place(address, str(number))) for port, number in pairs]
    if len(inner) > 1:
        raise InvalidArgument(f"ranges of different length in {text!r}")
    return [(f"{own}/{protocol}", _place(address, host))]  # at the first free port of the range


def _place(address: str, port: str) -> dict[str, str]:
    return {"HostIp": address, "HostPort": port}


def _range(text: str, whole: str) -> range:
    first, dash, last = text.partition("-")
    ends = (first, last if dash else first)
    if not all(end.isascii() and end.isdigit() and 0 < int(end) < 65536 for end in ends) or int(ends[0]) > int(ends[1]):
        raise InvalidArgument(f"invalid port in {whole!r}: a number from 1 to 65535, or a range of them")
    return range(int(ends[0]), int(ends[1]) + 1)


def lines(ports: Mapping[str, Any]) -> list[str]:
    """As `docker port` shows them."""
    return [
        f"{port} -> {_joined(place['HostIp'])}:{place['HostPort']}"
        for port, places in sorted(ports.items())
        for place in places or ()
    ]


def _joined(address: str) -> str:
    return f"[{address}]" if ":" in address else address
