"""/etc/hosts, /etc/resolv.conf and /etc/hostname of a container, as dockerd writes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from shared.errors import InvalidArgument

from .addresses import parse_address
from .options import is_interface

LOCALHOST = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::0", "ip6-localnet"),
    ("ff00::0", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)
FALLBACK_NAMESERVERS = ("8.8.8.8", "8.8.4.4")
EMBEDDED_DNS = "127.0.0.11"
HOST_GATEWAY = "host-gateway"


def extra_records(extra_hosts: Iterable[str], host_gateways: Sequence[str]) -> list[tuple[str, str]]:
    """`name:address` of `--add-host` as address and name; `host-gateway` stands for the default bridge's addresses."""
    records = []
    for entry in extra_hosts:
        name, separator, address = entry.partition(":")
        if not separator or not name or not name.isprintable() or " " in name:
            raise InvalidArgument(f"bad format for add-host: {entry!r}")
        meant = host_gateways if address == HOST_GATEWAY else (address,)
        records += [(_plain(each), name) for each in meant]
    return records


def _plain(address: str) -> str:
    text = address.removeprefix("[").removesuffix("]")
    try:
        parse_address(text)
    except ValueError:
        raise InvalidArgument(f"invalid IP address in add-host: {address!r}") from None
    return text


def own_names(hostname: str, domainname: str) -> str:
    """What a container calls itself in its hosts file."""
    return f"{hostname}.{domainname} {hostname}" if domainname else hostname


def told(names: str) -> str:
    """The names as the hosts file tells them: the full one, and its first word where it has a domain."""
    full = names.partition(" ")[0]
    bare, dot, _ = full.partition(".")
    return f"{full} {bare}" if dot else full


def hosts(extra: Iterable[tuple[str, str]], addresses: Iterable[str] = (), names: str = "") -> str:
    """The hosts file: localhost, then what was asked for, then the container's own addresses."""
    own = [(address, told(names)) for address in addresses if names]
    return "".join(f"{address}\t{name}\n" for address, name in (*LOCALHOST, *extra, *own))


def append_records(content: str, records: Iterable[tuple[str, str]]) -> str:
    """A copy of the host's own file with more at its end (`--network host`)."""
    if content and not content.endswith("\n"):
        content += "\n"
    return content + "".join(f"{address}\t{name}\n" for address, name in records)


def without_address(content: str, address: str) -> str:
    """A hosts file without the lines of an address."""
    return "".join(line for line in content.splitlines(keepends=True) if line.split()[:1] != [address])


def relinked(content: str, alias: str, lines: Sequence[tuple[str, str]]) -> str:
    """A hosts file in which the lines of a linked container are these; one that has none stays as it is."""
    found: list[str] = []
    placed = False
    for line in content.splitlines(keepends=True):
        if line.split()[1:2] != [alias]:
            found.append(line)
        elif not placed:
            found += [f"{address}\t{names}\n" for address, names in lines]
            placed = True
    return "".join(found)


def nameservers(resolv_conf: str) -> list[str]:
    """The addresses of the `nameserver` lines."""
    lines = (line.split() for line in resolv_conf.splitlines())
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def usable_nameserver(address: str) -> bool:
    """Whether a container can reach it: no loopback address, no link-local one of a host's interface."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return not parsed.is_loopback and not (parsed.version == 6 and "%" in address)


def resolv_conf(
    host: str,
    dns: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    *,
    filtered: bool = True,
) -> str:
    """The host's file without nameservers that a container cannot reach, or one made of the wishes.

    What is not wished comes from the host's file. A search list of one `.` means none. Without any reachable
    nameserver Docker's default ones are put in.
    """
    for address in dns:
        _check_address(address)
    if not (dns or search or options):
        return _filter(host) if filtered else host
    chosen = list(dns) or [name for name in nameservers(host) if not filtered or usable_nameserver(name)]
    domains = list(search) or _words(host, "search") or _words(host, "domain")
    flags = list(options) or _words(host, "options")
    lines = [f"search {' '.join(domains)}"] if domains and domains != ["."] else []
    lines += [f"nameserver {address}" for address in chosen or FALLBACK_NAMESERVERS]
    lines += [f"options {' '.join(flags)}"] if flags else []
    return "".join(f"{line}\n" for line in lines)


def embedded_resolv_conf(
    host: str, dns: Sequence[str] = (), search: Sequence[str] = (), options: Sequence[str] = ()
) -> str:
    """For user-defined networks: the embedded DNS is asked, which asks the servers that were wished for."""
    for address in dns:
        _check_address(address)
    flags = list(options) or _words(host, "options")
    if not any(flag.startswith("ndots:") for flag in flags):
        flags.append("ndots:0")
    domains = list(search) or _words(host, "search") or _words(host, "domain")
    lines = [f"search {' '.join(domains)}"] if domains and domains != ["."] else []
    lines += [f"nameserver {EMBEDDED_DNS}", f"options {' '.join(flags)}"]
    return "".join(f"{line}\n" for line in lines)


def sets_ndots(resolv_conf: str, options: Sequence[str] = ()) -> bool:
    """Whether somebody chose how many dots a name has that is asked as it is."""
    return any(option.startswith("ndots:") for option in list(options) or _words(resolv_conf, "options"))


def _filter(host: str) -> str:
    kept = []
    for line in host.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"] and not (len(words) > 1 and usable_nameserver(words[1])):
            continue
        kept.append(line)
    if not nameservers("\n".join(kept)):
        kept += [f"nameserver {address}" for address in FALLBACK_NAMESERVERS]
    return "".join(f"{line}\n" for line in kept)


def _words(resolv_conf: str, keyword: str) -> list[str]:
    """Arguments of the last line with that keyword, which is the one that counts (resolv.conf(5))."""
    found: list[str] = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if words[:1] == [keyword]:
            found = words[1:]
    return found


def _check_address(address: str) -> None:
    bare, _, zone = address.partition("%")
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        raise InvalidArgument(f"{address} is not an ip address") from None
    if zone and not is_interface(zone):
        raise InvalidArgument(f"{address} is not an ip address")
