"""Contract of the network service: networks, endpoints, sandboxes (libnetwork's model), IPAM."""

from __future__ import annotations

from shared.contracts.base import AGREED, Contract, Empty, Endpoint, Event, Keys, Message
from shared.contracts.common import DockerEvent, NameRecord, PruneReport, Revision
from shared.contracts.container import EndpointSettings, PortBinding
from shared.errors import (
    AlreadyExists,
    Conflict,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)


class IPAMConfig(Message, frozen=True):
    """One pool, in CIDR notation."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    aux_addresses: dict[str, str] = {}


class IPAM(Message, frozen=True):
    driver: str = "default"
    options: dict[str, str] | None = None
    config: tuple[IPAMConfig, ...] = ()


class NetworkSpec(Message, frozen=True):
    """Record `networks.<id>.spec`, or `cluster_networks.<vni>` of one that spans hosts (scope `global`).

    `node` binds a local network to its host; empty: the whole cluster. Of networks across hosts alone: `vni` is the
    number that tells their frames apart, `mtu` that of containers' interfaces; `removing` names the host that is just
    taking the network away: nobody joins it any more.

    `ipam.config` are the pools as they are, with the gateways the network has; `asked` those a client named, as it
    named them. `keeps_link`: the host's interface (a bridge, a parent) was there before and stays after the network.
    """

    id: str
    name: str
    created: int
    driver: str = "bridge"
    scope: str = "local"
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: str = ""
    ipam: IPAM = IPAM()
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    node: str = ""
    asked: tuple[IPAMConfig, ...] = ()
    keeps_link: bool = False
    vni: int = 0
    mtu: int = 0
    removing: str = ""


class EndpointRecord(Message, frozen=True):
    """Record `endpoints.<network id>.<endpoint id>`: an address in use, and by whom. Addresses with prefix length.

    On a network across hosts it is the record `cluster_endpoints.<network id>.<address>`, one for each address: who
    makes it has the address, and `node` is where all hosts send what is meant for it. `meshed`: ports (`8080/tcp`) at
    which every host of the cluster takes clients for a port of the container.
    """

    id: str
    network_id: str
    container_id: str
    container_name: str
    node: str
    mac_address: str = ""
    ipv4_address: str = ""
    ipv6_address: str = ""
    dns_names: tuple[str, ...] = ()
    interface: str = ""
    """As the container's own stack calls it."""
    meshed: dict[str, int] = {}


NAMES = Keys("names.network.*", NameRecord)
SPECS = Keys("networks.*.spec", NetworkSpec)
ENDPOINTS = Keys("endpoints.*.*", EndpointRecord)
CLUSTER_SPECS = Keys("cluster_networks.*", NetworkSpec, bucket=AGREED)
CLUSTER_ENDPOINTS = Keys("cluster_endpoints.*.*", EndpointRecord, bucket=AGREED)


class Network(Message, frozen=True):
    """A network with who is on it."""

    spec: NetworkSpec
    endpoints: tuple[EndpointRecord, ...] = ()


class CreateRequest(Message, frozen=True):
    """`driver` empty: the engine's default, in a cluster a network across its hosts."""

    name: str
    driver: str = ""
    scope: str = ""
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: str = ""
    ipam: IPAM = IPAM()
    options: dict[str, str] = {}
    labels: dict[str, str] = {}


class CreateReply(Message, frozen=True):
    id: str
    warning: str = ""
    revision: int = 0


class InspectRequest(Message, frozen=True):
    """By id, unique id prefix or name."""

    reference: str
    scope: str = ""


class ListRequest(Message, frozen=True):
    """Docker's filters of `GET /networks`: name, id, driver, scope, type, label, dangling."""

    filters: dict[str, tuple[str, ...]] = {}


class ListReply(Message, frozen=True):
    networks: tuple[Network, ...] = ()


class PruneRequest(Message, frozen=True):
    """`in_use`: network names or ids that existing (also stopped) containers of this host name; `in_use_elsewhere`:
    those that other hosts' do, which matters for networks across hosts.
    """

    filters: dict[str, tuple[str, ...]] = {}
    in_use: tuple[str, ...] = ()
    in_use_elsewhere: tuple[str, ...] = ()


class SandboxRequest(Message, frozen=True):
    """A container's network stack to make ready.

    `mode`: `bridge`-like (own stack, with `endpoints` by network name), `none`, `host`. A container that joins
    another's stack does not ask. `publish` are Docker's port bindings (`80/tcp` to host addresses), `exposed`
    the image's and user's exposed ports, published to free ports when `publish_all`. `links` are other containers
    on the default bridge that this one knows by another name: `id:alias`.

    A container that another host has on a network across hosts keeps its addresses, MAC and interface names there.
    Where its ports are to be chosen, they are those that it has there, if they are free here.
    `standby`: it is still there: nobody reaches the stack, nor is anything of it known, before `attach`. Its ports are
    taken on this host, but lead nowhere. Of other networks such a one cannot be.
    """

    container_id: str
    container_name: str
    mode: str = "bridge"
    hostname: str = ""
    domainname: str = ""
    endpoints: dict[str, EndpointSettings] = {}
    publish: dict[str, tuple[PortBinding, ...]] = {}
    exposed: tuple[str, ...] = ()
    publish_all: bool = False
    dns: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    standby: bool = False


class Sandbox(Message, frozen=True):
    """`path` is a file to join the network namespace by (empty for `host`); `files` go into the container.

    `files` maps /etc/hosts, /etc/resolv.conf and /etc/hostname to host files. `publish` is what was asked to be
    published, `ports` what is.
    """

    container_id: str
    sandbox_id: str
    path: str = ""
    endpoints: dict[str, EndpointSettings] = {}
    ports: dict[str, tuple[PortBinding, ...] | None] = {}
    files: dict[str, str] = {}
    publish: dict[str, tuple[PortBinding, ...]] = {}


class SandboxListReply(Message, frozen=True):
    sandboxes: tuple[Sandbox, ...] = ()


class ReleaseRequest(Message, frozen=True):
    """`keep_files`: the container may start again; its hosts file and address wish stay.

    `moved`: it runs on another host now, which has its addresses.
    """

    container_id: str
    keep_files: bool = True
    moved: bool = False


class StackRequest(Message, frozen=True):
    """A container that has a sandbox here. `soon`, to `attach`: of one in standby, only what it needs to go on."""

    container_id: str
    soon: bool = False


class ConnectRequest(Message, frozen=True):
    """`running`: the sandbox exists now; else the wish is only checked."""

    network: str
    container_id: str
    container_name: str
    settings: EndpointSettings = EndpointSettings()
    running: bool = False


class ConnectReply(Message, frozen=True):
    """`ports`: what is published now; None: nothing of it changed."""

    network_name: str
    settings: EndpointSettings
    ports: dict[str, tuple[PortBinding, ...] | None] | None = None


class DisconnectRequest(Message, frozen=True):
    network: str
    container_id: str
    force: bool = False


class DisconnectReply(Message, frozen=True):
    """`ports`: what is published now; None: nothing of it changed."""

    ports: dict[str, tuple[PortBinding, ...] | None] | None = None


class PublishRequest(Message, frozen=True):
    """The ports that a running container publishes from now on, as in `SandboxRequest`.

    Those that it publishes already, at the same host port and address, stay untouched, with the connections through
    them; but not those in `released`, of the container's `Sandbox.ports`, although a binding that names no host port
    would be content with one of them.
    """

    container_id: str
    publish: dict[str, tuple[PortBinding, ...]] = {}
    exposed: tuple[str, ...] = ()
    publish_all: bool = False
    released: dict[str, tuple[PortBinding, ...]] = {}


class LinkRequest(Message, frozen=True):
    """The links of a running container are these from now on, as in `SandboxRequest`."""

    container_id: str
    links: tuple[str, ...] = ()


class RenamedRequest(Message, frozen=True):
    """A container has a new name: its DNS name and that of its endpoints follow."""

    container_id: str
    name: str


class Changed(Message, frozen=True):
    """Networks and endpoints as they are now, and ids of those that are gone (of endpoints with their network's id).

    Nothing of all: anything may be other than before, as always in a cluster, where other hosts have a say.
    `node`: the host that shows it so.
    """

    networks: tuple[NetworkSpec, ...] = ()
    removed: tuple[str, ...] = ()
    endpoints: tuple[EndpointRecord, ...] = ()
    left: dict[str, str] = {}
    node: str = ""


class AgreeRequest(Message, frozen=True):
    """Host `node` asks for keys under which it may send to this one, for encrypted networks.

    `public` is its half of an X25519 agreement, signed together with the rest by its host's key, of which `certificate`
    (PEM) is by the cluster's authority. `means`: how it encrypts, as the other must, too. `whole`: it takes unsegmented
    packets. `again`: it has lost the keys that it had agreed on with others.
    """

    node: str
    public: bytes
    means: str
    whole: bool
    again: bool
    certificate: str
    signature: bytes


class AgreeReply(Message, frozen=True):
    """The other half, signed with the question's; `spi`: the index under which the receiver has the keys now."""

    public: bytes
    spi: int
    whole: bool
    certificate: str
    signature: bytes


_NF = NotFound
CREATE = Endpoint(
    "network.create",
    CreateRequest,
    CreateReply,
    (
        AlreadyExists, InvalidArgument, NotFound, PermissionDenied, ResourceExhausted, Conflict, FailedPrecondition,
        Unavailable,
    ),
)  # fmt: skip
INSPECT = Endpoint("network.inspect", InspectRequest, Network, (_NF, InvalidArgument), idempotent=True)
LIST = Endpoint("network.list", ListRequest, ListReply, (InvalidArgument,), idempotent=True)
REMOVE = Endpoint("network.remove", InspectRequest, Revision, (_NF, Conflict, PermissionDenied, Unavailable))
PRUNE = Endpoint("network.prune", PruneRequest, PruneReport)
SANDBOX = Endpoint(
    "network.sandbox",
    SandboxRequest,
    Sandbox,
    (_NF, Conflict, InvalidArgument, PermissionDenied, ResourceExhausted, FailedPrecondition, Unavailable),
    idempotent=True,
)
RELEASE = Endpoint("network.release", ReleaseRequest, Empty, idempotent=True)
DETACH = Endpoint("network.detach", StackRequest, Empty, (_NF,), idempotent=True)
"""No frame passes to or from the container any more, until `attach` or `release`; all else of it stays."""
ATTACH = Endpoint(
    "network.attach",
    StackRequest,
    Sandbox,
    (_NF, Conflict, FailedPrecondition, Unavailable),
    idempotent=True,
)
"""Takes `detach` back. A sandbox in standby is the container's only one from now on: all hosts send here what is for
its addresses (they do since they saw that the move is decided), its published ports lead to it, it is found by its
names. `Unavailable`: the cluster could not be told; what was done stays, ask again."""
SANDBOXES = Endpoint("network.sandboxes", Empty, SandboxListReply, idempotent=True)
CONNECT = Endpoint(
    "network.connect",
    ConnectRequest,
    ConnectReply,
    (_NF, Conflict, InvalidArgument, PermissionDenied, ResourceExhausted, FailedPrecondition, Unavailable),
)
DISCONNECT = Endpoint("network.disconnect", DisconnectRequest, DisconnectReply, (_NF, Conflict, PermissionDenied))
PUBLISH = Endpoint(
    "network.publish",
    PublishRequest,
    Sandbox,
    (_NF, Conflict, InvalidArgument, ResourceExhausted),
    idempotent=True,
)
LINK = Endpoint("network.link", LinkRequest, Empty, idempotent=True)
RENAMED = Endpoint("network.renamed", RenamedRequest, Empty, idempotent=True)

AGREE = Endpoint(
    "network.agree", AgreeRequest, AgreeReply, (FailedPrecondition, Unauthenticated), idempotent=True, timeout=10
)
"""Asked by the network services of other hosts. Nothing sent under the keys is lost from the answer on."""

NETWORK_EVENT = Event("network", DockerEvent)
CHANGED = Event("network.changed", Changed, kept=False)
"""What `list` or `inspect` answers may be other than before. Told before the answer to whoever caused it: callers keep
answers until they hear it."""

CONTRACT = Contract(
    name="network",
    version="v1",
    summary="Networks, endpoints, sandboxes, addresses and published ports of one node.",
    endpoints=(
        CREATE, INSPECT, LIST, REMOVE, PRUNE, SANDBOX, RELEASE, DETACH, ATTACH, SANDBOXES, CONNECT, DISCONNECT, PUBLISH,
        LINK, RENAMED, AGREE,
    ),
    events=(NETWORK_EVENT, CHANGED),
    owns=(NAMES, SPECS, ENDPOINTS, CLUSTER_SPECS, CLUSTER_ENDPOINTS),
    calls=("network.agree", "network_driver.*"),
    reads_agreed=("nodes.*", "host_leases.*", "migrations.*"),
)  # fmt: skip
