"""From a request to create a container to what it asks of a host."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Protocol

import msgspec

from shared.contracts.common import Platform
from shared.contracts.container import ContainerConfig, ContainerSpec, HostConfig
from shared.contracts.executor import CreateRequest
from shared.errors import InvalidArgument, NotFound, Unavailable

from .constraints import parse_all
from .facts import Ask, Bond, Load

NODE, CONSTRAINT, AFFINITY = "shoal.node", "shoal.constraint", "shoal.affinity"
"""Labels by which a client says where a container may go."""
_EVERYWHERE = ("", "default", "bridge", "host", "none")
_ANY_ADDRESS = ("", "0.0.0.0", "::")
_ASKED = "not asked, whose paths or addresses it names"
_UNSATISFIED = "scheduling constraints not satisfied"


class Known(Protocol):
    """What is where. Sets of host ids; empty where it is nowhere, or everywhere."""

    def hosts_called(self, name: str) -> frozenset[str]:
        """By name or id."""

    def host_of(self, container: str) -> str:
        """Of a container by name, id, or begin of an id; empty when it is not known."""

    def with_volume(self, name: str) -> frozenset[str]: ...

    def unseen(self) -> tuple[str, ...]:
        """The names of hosts that may have anything: they were not heard of yet."""

    def with_network(self, name: str) -> frozenset[str]:
        """Those that have a network of their own of that name or id."""

    def spans(self, name: str) -> bool:
        """Whether a network across all hosts is called so."""

    def with_image(self, image_id: str) -> Set[str]:
        """Not a copy: valid until something changes."""


def load_of(config: HostConfig) -> Load:
    """What a container reserves: as much memory as is reserved for it, else its limit; processors as its limit."""
    cpus = config.nano_cpus
    if not cpus and config.cpu_quota > 0:
        cpus = config.cpu_quota * 1_000_000_000 // (config.cpu_period or 100_000)
    ports = {
        f"{binding.host_port.partition('/')[0]}/{port.partition('/')[2] or 'tcp'}"
        for port, bindings in config.port_bindings.items()
        for binding in bindings
        if binding.host_port not in ("", "0")
    }
    return Load(max(0, config.memory_reservation or config.memory), max(0, cpus), tuple(sorted(ports)))


def ask_of(request: CreateRequest, image: str, platform: Platform, known: Known, asked: str = "") -> Ask:
    """`image` by its id, for `platform`; `asked`: the host whose paths, addresses, volumes and networks the request
    means, unless it says where else the container is to be. Raises `InvalidArgument` for labels that make no sense,
    `NotFound`, `Unavailable` where a volume may be on a host that was not heard of yet.
    """
    config, labels = request.host_config, request.config.labels
    here = "" if labels.get(NODE) or labels.get(CONSTRAINT) else asked
    bonds = (
        *_wished(request.config, known),
        *_joined(config, known),
        *_volumes(config, known, here),
        *_networks(request, known, here),
    )
    if here and all(bond.apart for bond in bonds) and _names_host(config):
        bonds = (*bonds, Bond(frozenset((here,)), _ASKED))
    return Ask(
        load=load_of(config),
        os=platform.os,
        architecture=platform.architecture,
        constraints=parse_all(labels.get(CONSTRAINT, "")),
        bonds=bonds,
        image=known.with_image(image),
    )


def _names_host(config: HostConfig) -> bool:
    """Whether it has paths or addresses of a host."""
    paths = any(text.startswith("/") for text in config.binds) or any(mount.type == "bind" for mount in config.mounts)
    bindings = (binding for published in config.port_bindings.values() for binding in published)
    return paths or any(binding.host_ip not in _ANY_ADDRESS for binding in bindings)


def moved(spec: ContainerSpec) -> CreateRequest:
    """What a container that is there already asks of another host: as it was asked for, but that its volumes come
    along.

    A wish for one host (`shoal.node`) is what is being overruled.
    """
    labels = {name: value for name, value in spec.config.labels.items() if name != NODE}
    return CreateRequest(
        config=msgspec.structs.replace(spec.config, labels=labels),
        host_config=msgspec.structs.replace(spec.host_config, binds=(), mounts=(), volumes_from=()),
        networks=spec.networks,
        platform=spec.platform,
    )


def _wished(config: ContainerConfig, known: Known) -> Iterator[Bond]:
    """What labels say of hosts and of other containers."""
    if node := config.labels.get(NODE, ""):
        yield Bond(known.hosts_called(node), _UNSATISFIED)
    for text in filter(None, (part.strip() for part in config.labels.get(AFFINITY, "").split(","))):
        kind, sign, name = text.partition("!=") if "!=" in text else text.partition("==")
        if kind.strip() != "container" or not sign or not name.strip():
            raise InvalidArgument(f"invalid affinity {text!r}: expected container==NAME or container!=NAME")
        yield from _beside(name.strip(), known, apart=sign == "!=")


def _beside(container: str, known: Known, apart: bool) -> Iterator[Bond]:
    host = known.host_of(container)
    if host:
        yield Bond(frozenset((host,)), f"container {container}" if apart else f"no container {container}", apart)
    elif not apart:
        raise NotFound(f"No such container: {container}")


def _joined(config: HostConfig, known: Known) -> Iterator[Bond]:
    """Other containers that it shares something with; what is wrong with one that is not known its executor says."""
    modes = (config.network_mode, config.ipc_mode, config.pid_mode)
    names = [mode.removeprefix("container:") for mode in modes if mode.startswith("container:")]
    names += [text.partition(":")[0] for text in (*config.volumes_from, *config.links)]
    for name in dict.fromkeys(names):
        if host := known.host_of(name):
            yield Bond(frozenset((host,)), f"no container {name}")


def _volumes(config: HostConfig, known: Known, here: str) -> Iterator[Bond]:
    names = [text.partition(":")[0] for text in config.binds if not text.startswith("/") and ":" in text]
    names += [mount.source for mount in config.mounts if mount.type == "volume" and mount.source]
    for name in dict.fromkeys(names):
        if hosts := known.with_volume(name):
            yield Bond(_meant(hosts, here), f"no volume {name}")
        elif unseen := known.unseen():  # who guessed would make another, empty one
            raise Unavailable(f"volume {name} may be on {', '.join(unseen)}, which cannot be asked now")


def _networks(request: CreateRequest, known: Known, here: str) -> Iterator[Bond]:
    """A host takes a name for its own network first: where the one across hosts is meant, it must have none."""
    mode = request.host_config.network_mode
    names = [*request.networks, *(() if mode.startswith("container:") else (mode,))]
    for name in dict.fromkeys(names):
        if name not in _EVERYWHERE and (hosts := known.with_network(name)):
            if known.spans(name) and here not in hosts:
                yield Bond(hosts, f"another network {name}", apart=True)
            else:
                yield Bond(_meant(hosts, here), f"no network {name}")


def _meant(hosts: frozenset[str], here: str) -> frozenset[str]:
    """Of several hosts that have something of a name the one that was asked."""
    return frozenset((here,)) if here in hosts else hosts
