"""What a network stack consists of."""

from __future__ import annotations

import ipaddress

import msgspec
import pytest

from services.network.domain import options, sandboxes
from services.network.domain.endpoints import Attachment
from services.network.domain.publishing import ANY4, Forward, Place, Targets, Wish
from services.network.domain.sandboxes import HostFiles, SandboxRecord
from shared.contracts.container import EndpointSettings, PortBinding
from shared.contracts.network import IPAM, EndpointRecord, IPAMConfig, NetworkSpec, Sandbox, SandboxRequest
from shared.errors import InvalidArgument, PermissionDenied

CONTAINER = "c" * 64


def network(name: str, subnet: str = "10.5.0.0/24", **more: object) -> NetworkSpec:
    gateway = str(next(ipaddress.IPv4Network(subnet).hosts()))
    ipam = IPAM(config=(IPAMConfig(subnet=subnet, gateway=gateway),))
    return NetworkSpec(**{"id": f"id-{name}", "name": name, "created": 0, "ipam": ipam, **more})  # type: ignore[arg-type]


def attachment(spec: NetworkSpec, address: str = "10.5.0.2/24", index: int = 0) -> Attachment:
    return Attachment(
        network_id=spec.id,
        network_name=spec.name,
        endpoint_id=f"end-{spec.name}",
        interface=f"eth{index}",
        address=address,
        mac="02:42:0a:05:00:02",
        slot=index,
    )


WEB = network("web")
SPECS = {WEB.id: WEB}
RECORD = SandboxRecord(
    sandbox=Sandbox(
        container_id=CONTAINER,
        sandbox_id="f" * 64,
        endpoints={"web": EndpointSettings(dns_names=("shop", "api", "cccccccccccc"))},
        ports={"80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="8080"),), "90/tcp": None},
    ),
    container_name="shop",
    attachments=(attachment(WEB),),
    gateway="end-web",
    own_names="web",
)
HOST = HostFiles("127.0.0.1 localhost\n", "nameserver 127.0.0.53\n", "metal")


def request(**fields: object) -> SandboxRequest:
    return SandboxRequest(**{"container_id": CONTAINER, "container_name": "shop", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("", "bridge"), ("default", "bridge"), ("web", "bridge"), ("host", "host"), ("none", "none")],
)
def test_modes(mode: str, expected: str) -> None:
    assert sandboxes.stack_mode(mode) == expected


def test_a_joined_stack_is_not_ours() -> None:
    with pytest.raises(InvalidArgument, match="joins"):
        sandboxes.stack_mode("container:abc")


@pytest.mark.parametrize(("mode", "name"), [("", "bridge"), ("default", "bridge"), ("host", "host"), ("web", "web")])
def test_without_endpoints_the_mode_names_the_network(mode: str, name: str) -> None:
    assert list(sandboxes.wished_endpoints(request(mode=mode))) == [name]


def test_host_and_none_are_alone() -> None:
    host, none = network("host", driver="host"), network("none", driver="null")
    sandboxes.check_networks("host", [host])
    sandboxes.check_networks("none", [none])
    for mode, specs in (("bridge", [host]), ("host", [host, WEB]), ("none", [none, WEB]), ("host", [none])):
        with pytest.raises(InvalidArgument, match="cannot be connected"):
            sandboxes.check_networks(mode, specs)


def test_a_configuration_is_no_network_to_be_on() -> None:
    with pytest.raises(PermissionDenied, match="cannot create endpoint on configuration-only network"):
        sandboxes.check_networks("bridge", [network("cfg", config_only=True, driver="null")])
    with pytest.raises(PermissionDenied, match="cannot create endpoint on configuration-only network"):
        sandboxes.check_connect(RECORD, network("cfg", config_only=True, driver="null"))


def test_the_default_route_is_the_gateways_interface() -> None:
    other = network("other", "10.6.0.0/24")
    record = msgspec.structs.replace(RECORD, attachments=(attachment(WEB), attachment(other, "10.6.0.2/24", 1)))
    record = msgspec.structs.replace(
        record,
        sandbox=msgspec.structs.replace(
            record.sandbox, endpoints={**record.sandbox.endpoints, "other": EndpointSettings()}
        ),
    )
    found = sandboxes.plans(record, {WEB.id: WEB, other.id: other}, "shl")
    assert [plan.gateways for plan in found] == [(ipaddress.IPv4Address("10.5.0.1"),), ()]
    assert [plan.name for plan in found] == ["eth0", "eth1"]


DUAL = msgspec.structs.replace(
    RECORD,
    attachments=(msgspec.structs.replace(attachment(WEB), address6="fd00::2/64"),),
    gateway6="end-web",
)


def test_ports_lead_to_the_addresses_of_the_networks_with_the_default_routes() -> None:
    four, six = ipaddress.ip_address("10.5.0.2"), ipaddress.ip_address("fd00::2")
    assert sandboxes.targets(DUAL, SPECS) == Targets(four, six, relay=False)
    assert sandboxes.targets(RECORD, SPECS) == Targets(four, None, relay=True)
    routed = {WEB.id: network("web", options={options.GATEWAY_MODE[6]: "routed"})}
    assert sandboxes.targets(DUAL, routed).direct == {6}
    stacked = {WEB.id: network("web", driver="macvlan", options={"parent": "eth0"})}
    assert sandboxes.targets(DUAL, stacked) == Targets(None, None, relay=False)


def test_what_is_published_depends_on_the_networks_of_now() -> None:
    wanted = {"80/tcp": (PortBinding(host_port="8080"),)}
    asked = msgspec.structs.replace(DUAL, sandbox=msgspec.structs.replace(DUAL.sandbox, publish=wanted))
    [wish] = sandboxes.port_wishes(asked, SPECS, dual=True)
    assert [str(place.target) for place in wish.places] == ["10.5.0.2", "fd00::2"]
    bound = {WEB.id: network("web", options={options.HOST_BINDING: "127.0.0.1"})}
    [wish] = sandboxes.port_wishes(asked, bound, dual=True)
    assert [str(place.host) for place in wish.places] == ["127.0.0.1"]
    assert sandboxes.port_wishes(msgspec.structs.replace(asked, gateway="", gateway6=""), SPECS, dual=True) == []
    assert sandboxes.port_wishes(RECORD, SPECS, dual=True) == []


def test_shown_ports_are_those_taken() -> None:
    shown = sandboxes.with_ports(
        msgspec.structs.replace(RECORD, exposed=("90/tcp",)),
        [Forward("tcp", ANY4, 8080, ipaddress.IPv4Address("10.5.0.2"), 80)],
        SPECS,
    )
    assert shown.sandbox.ports == RECORD.sandbox.ports
    assert sandboxes.with_ports(msgspec.structs.replace(RECORD, mode="host"), [], SPECS).sandbox.ports == {}


def test_a_container_on_no_network_that_publishes_shows_no_ports() -> None:
    exposing = msgspec.structs.replace(RECORD, exposed=("90/tcp",))
    assert sandboxes.with_ports(exposing, [], SPECS).sandbox.ports == {"90/tcp": None}
    gone = sandboxes.left(exposing, WEB.id, SPECS)
    assert sandboxes.with_ports(gone, [], SPECS).sandbox.ports == {}
    on_macvlan = {WEB.id: network("web", driver="macvlan")}
    assert sandboxes.with_ports(exposing, [], on_macvlan).sandbox.ports == {}
    internal = msgspec.structs.replace(exposing, gateway="")
    assert sandboxes.with_ports(internal, [], SPECS).sandbox.ports == {}


def test_lines_of_linked_containers() -> None:
    other = msgspec.structs.replace(
        DUAL,
        container_name="database",
        own_names="db.lab db",
        attachments=(msgspec.structs.replace(DUAL.attachments[0], network_name="bridge"),),
    )
    linking = msgspec.structs.replace(RECORD, links=("other:store", "gone:x"))
    assert sandboxes.linked(linking, {"other": other}) == [
        ("10.5.0.2", "store db database"),
        ("fd00::2", "store db database"),
    ]
    assert sandboxes.linked(RECORD, {"other": other}) == []


def test_published_ports_are_read_back_from_the_record() -> None:
    target = ipaddress.IPv4Address("10.5.0.2")
    assert sandboxes.forwards(RECORD, SPECS) == [Forward("tcp", ANY4, 8080, target, 80)]
    lost = msgspec.structs.replace(RECORD, gateway="")
    assert sandboxes.forwards(lost, SPECS) == []
    assert [port.host_port for port in sandboxes.held(lost)] == [8080]


def test_a_record_survives_its_file() -> None:
    assert msgspec.json.decode(msgspec.json.encode(RECORD), type=SandboxRecord) == RECORD


def test_a_new_name_is_a_new_dns_name() -> None:
    renamed = sandboxes.renamed(RECORD, "store")
    assert renamed.container_name == "store"
    assert renamed.sandbox.endpoints["web"].dns_names == ("store", "api", "cccccccccccc")
    stored = sandboxes.endpoint_record(renamed, renamed.attachments[0], "node1")
    assert (stored.container_name, stored.dns_names[0], stored.ipv4_address) == ("store", "store", "10.5.0.2/24")


def test_contents_of_a_bridged_containers_files() -> None:
    links = [("10.5.0.3", "db 123 database")]
    contents = sandboxes.contents(
        request(hostname="web", extra_hosts=("x:host-gateway",)), RECORD, HOST, links, ["1.1.1.1"]
    )
    assert contents["hosts"].endswith("1.1.1.1\tx\n10.5.0.3\tdb 123 database\n10.5.0.2\tweb\n")
    assert contents["hostname"] == "web\n"
    assert contents["resolv.conf"] == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"


@pytest.mark.parametrize(
    "fields", [{"hostname": "a b"}, {"domainname": "a\nb"}, {"dns_search": ("a\tb",)}, {"dns_options": ("x\0",)}]
)
def test_nobody_writes_a_line_of_his_own(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match="invalid host name, DNS search domain or DNS option"):
        sandboxes.contents(request(**fields), RECORD, HOST, [], [])


def test_on_a_users_network_the_embedded_dns_is_asked() -> None:
    record = msgspec.structs.replace(RECORD, dns=True)
    contents = sandboxes.contents(request(dns_search=("lab",), dns=("9.9.9.9",)), record, HOST, [], [])
    assert contents["resolv.conf"] == "search lab\nnameserver 127.0.0.11\noptions ndots:0\n"


def test_a_second_network_may_take_over_the_way_out() -> None:
    apart, inner = network("apart", "10.6.0.0/24"), network("inner", "10.7.0.0/24", internal=True)
    specs = {spec.id: spec for spec in (WEB, apart, inner)}
    inside = sandboxes.joined(RECORD, attachment(inner, "10.7.0.2/24", 1), EndpointSettings(), specs)
    assert inside.gateway == RECORD.gateway
    both = sandboxes.joined(inside, attachment(apart, "10.6.0.2/24", 2), EndpointSettings(), specs)
    assert both.gateway == "end-apart"
    only_inner = sandboxes.left(sandboxes.left(both, apart.id, specs), WEB.id, specs)
    assert (only_inner.gateway, list(only_inner.sandbox.endpoints)) == ("", ["inner"])


@pytest.mark.parametrize(
    ("mode", "name", "driver", "text"),
    [
        ("host", "web", "bridge", "container cannot be disconnected from host network or connected to host network"),
        ("bridge", "host", "host", "container cannot be disconnected from host network or connected to host network"),
        ("none", "web", "bridge", "one of the networks in private"),
        ("bridge", "none", "null", "one of the networks in private"),
        ("bridge", "web", "bridge", "endpoint with name shop already exists in network web"),
    ],
)
def test_networks_that_a_running_container_cannot_be_on(mode: str, name: str, driver: str, text: str) -> None:
    record = msgspec.structs.replace(RECORD, mode=mode)
    with pytest.raises((InvalidArgument, PermissionDenied), match=text):
        sandboxes.check_connect(record, network(name, driver=driver))


def test_contents_with_the_hosts_network_are_the_hosts() -> None:
    record = msgspec.structs.replace(RECORD, mode="host", attachments=())
    contents = sandboxes.contents(request(extra_hosts=("x:1.2.3.4",)), record, HOST, [], [])
    assert contents == {
        "hosts": "127.0.0.1 localhost\n1.2.3.4\tx\n",
        "resolv.conf": "nameserver 127.0.0.53\n",
        "hostname": "metal\n",
    }


def test_a_container_without_network_knows_no_own_address() -> None:
    record = msgspec.structs.replace(RECORD, mode="none", attachments=())
    contents = sandboxes.contents(request(), record, HOST, [], [])
    assert contents["hosts"].endswith("ip6-allrouters\n")
    assert contents["hostname"] == "cccccccccccc\n"


def test_ports_at_every_host_are_those_that_it_has_here_at_all_addresses() -> None:
    """Chosen ones may be others; those asked for by one number may not."""
    ports = {
        "80/tcp": (PortBinding(host_ip="0.0.0.0", host_port="8080"), PortBinding(host_ip="::", host_port="8080")),
        "81/tcp": (PortBinding(host_ip="0.0.0.0", host_port="40000"), PortBinding(host_ip="10.0.0.1", host_port="1")),
        "90/tcp": None,
    }
    publish = {"80/tcp": (PortBinding(host_port="8080"),), "81/tcp": (PortBinding(),)}
    sandbox = msgspec.structs.replace(RECORD.sandbox, ports=ports, publish=publish)
    record = msgspec.structs.replace(RECORD, sandbox=sandbox)
    entry = record.attachments[0]
    assert sandboxes.meshed(record, entry) == {}, "not on networks across hosts alone"
    assert sandboxes.asked_meshed(record) == sandboxes.chosen_meshed(record) == []
    out = msgspec.structs.replace(entry, network_id="out", way_out=True)
    across = msgspec.structs.replace(record, attachments=(entry, out))
    assert sandboxes.meshed(across, entry) == {"8080/tcp": 80, "40000/tcp": 81}
    assert sandboxes.meshed(across, out) == {}
    assert sandboxes.asked_meshed(across) == ["8080/tcp"]
    assert sandboxes.chosen_meshed(across) == ["40000/tcp"]


def test_a_port_that_is_to_be_chosen_is_that_which_the_container_had_elsewhere() -> None:
    former = EndpointRecord(
        id="e", network_id="n", container_id="c", container_name="c", node="n2",
        meshed={"40000/tcp": 80, "40001/tcp": 81, "40002/udp": 80},
    )  # fmt: skip
    places = (Place(ANY4, ANY4),)
    wish = Wish("tcp", 80, places)
    assert sandboxes.former_ports([former], wish) == [Wish("tcp", 80, places, 40000, 40000)]
    assert sandboxes.former_ports([former], Wish("tcp", 80, places, 39000, 40000))
    assert not sandboxes.former_ports([former], Wish("tcp", 80, places, 9000, 9001)), "it is content with others only"
    assert not sandboxes.former_ports([former], Wish("tcp", 80, places, 8080, 8080)), "by its number"
    assert not sandboxes.former_ports([], wish)
