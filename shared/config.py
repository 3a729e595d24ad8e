"""Settings of one engine: defaults, then a TOML file, then SHOAL_* environment variables.

Every path, name and address range can be set, so that several engines live side by side on one machine.
"""

from __future__ import annotations

import logging
import os
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_origin

import msgspec

from shared.errors import InvalidArgument

_POSITIVE = (
    "max_unpack_bytes",
    "max_unpack_entries",
    "max_unpack_ratio",
    "max_body_bytes",
    "registry_timeout",
    "max_concurrent_downloads",
    "max_concurrent_uploads",
    "max_download_attempts",
)
DEFAULT_FILE = Path("/etc/shoal/shoal.toml")


class AddressPool(msgspec.Struct, frozen=True, kw_only=True):
    """A range from which networks get their subnets: `base` is cut into subnets of `size` prefix bits."""

    base: str
    size: int


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One engine's settings. Paths are absolute; a field's environment variable is SHOAL_<FIELD IN CAPITALS>."""

    state_dir: str = "/var/lib/shoal"
    """What must survive a reboot: broker data, images, volumes, container logs, keys."""
    run_dir: str = "/run/shoal"
    """What need not: bundles, sockets, network namespaces, pid files. Made on tmpfs where the host has one."""
    socket: str = ""
    """The Docker API's unix socket; empty: `<run_dir>/docker.sock`."""
    socket_group: str = "docker"
    """Group of the socket when it exists on the host, else root. The mode is 0660."""
    hosts: tuple[str, ...] = ()
    """More addresses of the Docker API, such as tcp://0.0.0.0:2376 (TLS) or unix:///other/docker.sock."""
    tls_cert: str = ""
    """Certificate (PEM, with its chain) of the tcp addresses. Replaced files count without a restart."""
    tls_key: str = ""
    """The certificate's private key (PEM)."""
    tls_ca: str = ""
    """Authority (PEM) whose client certificates are demanded (`docker --tlsverify`); empty: nobody is asked for one."""
    tcp_without_tls: bool = False
    """Allows tcp addresses without TLS. Whoever reaches them is root on this host."""
    node_name: str = ""
    """Name of this host in the cluster; empty: its host name."""
    nats_url: str = ""
    """An external broker; empty: the embedded one on a loopback port."""
    nats_port: int = 0
    """Loopback port of the embedded broker; 0: a free one, kept in `<state_dir>/broker/port`."""
    replaced: tuple[str, ...] = ()
    """Engine services that somebody else runs in place of ours, such as ("image_store",): all others are started."""
    bridge_name: str = "shoal0"
    """Bridge of the default network `bridge`."""
    bridge_subnet: str = ""
    """Subnet of the default bridge with the gateway's address (as 172.17.0.1/16); empty: the first free pool."""
    bridge_subnet6: str = ""
    """IPv6 subnet of the default bridge with the gateway's address (as fd00:17::1/64); empty: it is without IPv6."""
    interface_prefix: str = "shl"
    """Begin of the names of all host interfaces this engine makes (at most 4 characters)."""
    address_pools: tuple[AddressPool, ...] = (
        AddressPool(base="172.17.0.0/12", size=16),
        AddressPool(base="192.168.0.0/16", size=20),
    )
    """Subnets for networks whose creator names none. Where none is of IPv6, the host's unique local one (RFC 4193)."""
    default_network_driver: str = ""
    """Driver of networks whose creator names none; empty: `overlay` on a host of a cluster, else `bridge`."""
    nft_table: str = "shoal"
    """Name of the engine's own nftables tables."""
    runtime_prefix: str = "/opt/shoal/runtime"
    """Where the private crun, conmon and criu are, for hosts whose own do not pass the check."""
    runtimes: dict[str, str] = {}
    """More OCI runtimes: name to program."""
    default_runtime: str = "crun"
    cgroup_parent: str = "shoal"
    """Parent cgroup of all containers."""
    default_stop_timeout: int = 10
    """Seconds from the stop signal to SIGKILL."""
    max_unpack_bytes: int = 64 << 30
    max_unpack_entries: int = 2_000_000
    max_unpack_ratio: int = 1000
    max_body_bytes: int = 16 << 20
    """Largest JSON body the gateway accepts."""
    registry_mirrors: tuple[str, ...] = ()
    """URLs of mirrors of Docker Hub, asked before it (dockerd's `registry-mirrors`)."""
    http_proxy: str = ""
    """Proxy for what is fetched by HTTP (registries, URLs, git repositories); empty: the environment's HTTP_PROXY."""
    https_proxy: str = ""
    """The same for HTTPS; empty: the environment's HTTPS_PROXY."""
    no_proxy: str = ""
    """Hosts, domains and networks, with commas between, that are reached without; empty: the environment's NO_PROXY."""
    insecure_registries: tuple[str, ...] = ()
    """Registries (host[:port], or networks in CIDR form) that may be spoken to without TLS or with any certificate."""
    registry_certs_dir: str = "/etc/docker/certs.d"
    """Folder with certificates of registries: `<host[:port]>/{*.crt,*.cert,*.key}`."""
    registry_timeout: int = 60
    """Seconds for which a registry may be silent."""
    registry_retry_delay: int = 5
    """Seconds before a failed transfer is tried again; each time that many more."""
    max_concurrent_downloads: int = 3
    """Layers pulled at once."""
    max_concurrent_uploads: int = 5
    """Layers of one push sent at once."""
    max_download_attempts: int = 5
    """How often a layer is tried."""
    failover: Literal["auto", "always", "never"] = "auto"
    """Whether containers made here may be started elsewhere when their host is lost. `auto`: in a cluster whose hubs
    outlive the loss of one (three or more). `always`: with fewer, too; then the loss of a hub ends them everywhere."""
    log_level: str = "info"
    labels: dict[str, str] = {}
    """Labels of this host (`docker info`)."""

    @property
    def socket_path(self) -> Path:
        return Path(self.socket) if self.socket else Path(self.run_dir) / "docker.sock"

    @property
    def state_path(self) -> Path:
        return Path(self.state_dir)

    @property
    def run_path(self) -> Path:
        return Path(self.run_dir)

    @property
    def node(self) -> str:
        """The host's name in the cluster."""
        return self.node_name or socket.gethostname()


def load(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings from file (must exist when named) and environment; raises `InvalidArgument` naming the field."""
    environment = os.environ if environment is None else environment
    named = file or (Path(environment["SHOAL_CONFIG"]) if environment.get("SHOAL_CONFIG") else None)
    return _check(_merge(_read(named), environment))


def _read(named: Path | None) -> dict[str, object]:
    path = named or DEFAULT_FILE
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        if named is None:
            return {}
        raise InvalidArgument(f"configuration file {path} does not exist") from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"configuration file {path}: {error}") from None


def _merge(values: dict[str, object], environment: Mapping[str, str]) -> dict[str, object]:
    merged = dict(values)
    for field in msgspec.structs.fields(Settings):
        text = environment.get(f"SHOAL_{field.name.upper()}")
        if text is None:
            continue
        plain = field.type in (str, int) or get_origin(field.type) is Literal
        try:
            merged[field.name] = text if plain else msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeEncodeError) as error:
            raise InvalidArgument(f"SHOAL_{field.name.upper()}: not JSON: {error}") from None
    return merged


def _check(values: dict[str, object]) -> Settings:
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"configuration: {error}") from None
    for name in ("state_dir", "run_dir", "runtime_prefix"):
        if not os.path.isabs(getattr(settings, name)):
            raise InvalidArgument(f"configuration: {name} must be an absolute path: {getattr(settings, name)!r}")
    if not 0 < len(settings.interface_prefix) <= 4 or not 0 < len(settings.bridge_name) <= 15:
        raise InvalidArgument("configuration: interface_prefix has 1 to 4, bridge_name 1 to 15 characters")
    for name in _POSITIVE:
        if getattr(settings, name) <= 0:
            raise InvalidArgument(f"configuration: {name} must be positive: {getattr(settings, name)}")
    if not 0 <= settings.nats_port < 1 << 16:
        raise InvalidArgument(f"configuration: nats_port is no port: {settings.nats_port}")
    if settings.log_level.upper() not in logging.getLevelNamesMapping():
        raise InvalidArgument(f"configuration: log_level is debug, info, warning or error: {settings.log_level!r}")
    return settings
