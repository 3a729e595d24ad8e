"""What a network stack consists of."""

from __future__ import annotations

import ipaddress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.network.domain import sandboxes
from services.network.domain.publishing import Forward
from services.network.domain.sandboxes import Attachment, HostFiles, SandboxRecord
from shared.contracts.container import EndpointIPAMConfig, EndpointSettings, PortBinding
from shared.contracts.network import IPAM, IPAMConfig, NetworkSpec, Sandbox, SandboxRequest
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
        bridge="br0",
        address=address,
        mac="02:42:0a:05:00:02",
    )


WEB = network("web")
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


def wish(address: str) -> EndpointSettings:
    return EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address=address))


def test_wished_addresses() -> None:
    assert sandboxes.check_wish(WEB, EndpointSettings()) is None
    assert sandboxes.check_wish(WEB, wish("10.5.0.9")) == ipaddress.IPv4Address("10.5.0.9")
    with pytest.raises(InvalidArgument, match="user specified IP address is supported on user defined networks only"):
        sandboxes.check_wish(network("bridge"), wish("10.5.0.9"))
    with pytest.raises(InvalidArgument, match="invalid IPv4 address: x"):
        sandboxes.check_wish(WEB, wish("x"))


@pytest.mark.parametrize("text", ["", "02:42", "02:42:00:00:00:zz", "03:42:00:00:00:01", "02:42:00:00:00:01:02"])
def test_bad_mac_addresses_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid MAC address"):
        sandboxes.check_mac(text)


def test_mac_addresses_are_written_one_way() -> None:
    assert sandboxes.check_mac("02-42-AC-00-00-01") == "02:42:ac:00:00:01"


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(-2, 2), st.booleans())))
def test_the_gateway_has_the_highest_priority_then_the_first_name(wanted: dict[str, tuple[int, bool]]) -> None:
    specs = {name: network(name, id=name, internal=internal) for name, (_, internal) in wanted.items()}
    wishes = {name: EndpointSettings(gw_priority=priority) for name, (priority, _) in wanted.items()}
    chosen = sandboxes.gateway_of(specs, wishes)
    usable = sorted((-wishes[name].gw_priority, name) for name, spec in specs.items() if not spec.internal)
    assert chosen == (usable[0][1] if usable else "")


def test_inspect_shows_what_an_endpoint_got() -> None:
    asked = EndpointSettings(aliases=("api",), driver_opts={"a": "b"})
    names = sandboxes.dns_names(CONTAINER, "shop", asked, "shop")
    shown = sandboxes.settings(WEB, attachment(WEB), asked, names)
    assert shown == msgspec.structs.replace(
        asked,
        network_id="id-web",
        endpoint_id="end-web",
        mac_address="02:42:0a:05:00:02",
        gateway="10.5.0.1",
        ip_address="10.5.0.2",
        ip_prefix_len=24,
        dns_names=("shop", "api", "cccccccccccc"),
    )


def test_an_internal_network_has_no_gateway_and_the_default_bridge_no_names() -> None:
    internal = network("web", internal=True)
    assert sandboxes.settings(internal, attachment(internal), EndpointSettings(), ("x",)).gateway == ""
    bridge = network("bridge")
    assert sandboxes.settings(bridge, attachment(bridge), EndpointSettings(), ("x",)).dns_names is None


def test_the_default_route_is_the_gateways_interface() -> None:
    other = network("other", "10.6.0.0/24")
    record = msgspec.structs.replace(RECORD, attachments=(attachment(WEB), attachment(other, "10.6.0.2/24", 1)))
    routes = [entry.route for entry in sandboxes.interfaces(record, {WEB.id: WEB, other.id: other})]
    assert routes == [ipaddress.IPv4Address("10.5.0.1"), None]


def test_published_ports_are_read_back_from_the_record() -> None:
    target = ipaddress.IPv4Address("10.5.0.2")
    assert sandboxes.forwards(RECORD) == [Forward("tcp", ipaddress.IPv4Address("0.0.0.0"), 8080, target, 80)]
    lost = msgspec.structs.replace(RECORD, gateway="")
    assert sandboxes.forwards(lost) == []
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
        request(hostname="web", extra_hosts=("x:host-gateway",)), RECORD, HOST, links, "1.1.1.1"
    )
    assert contents["hosts"].endswith("1.1.1.1\tx\n10.5.0.3\tdb 123 database\n10.5.0.2\tweb\n")
    assert contents["hostname"] == "web\n"
    assert contents["resolv.conf"] == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"


@pytest.mark.parametrize(
    "fields", [{"hostname": "a b"}, {"domainname": "a\nb"}, {"dns_search": ("a\tb",)}, {"dns_options": ("x\0",)}]
)
def test_nobody_writes_a_line_of_his_own(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument, match="invalid host name, DNS search domain or DNS option"):
        sandboxes.contents(request(**fields), RECORD, HOST, [], "")


def test_on_a_users_network_the_embedded_dns_is_asked() -> None:
    record = msgspec.structs.replace(RECORD, dns=True)
    contents = sandboxes.contents(request(dns_search=("lab",), dns=("9.9.9.9",)), record, HOST, [], "")
    assert contents["resolv.conf"] == "search lab\nnameserver 127.0.0.11\noptions ndots:0\n"


def test_a_second_network_may_take_over_the_way_out() -> None:
    apart, inner = network("apart", "10.6.0.0/24"), network("inner", "10.7.0.0/24", internal=True)
    specs = {spec.id: spec for spec in (WEB, apart, inner)}
    inside = sandboxes.joined(RECORD, attachment(inner, "10.7.0.2/24", 1), EndpointSettings(), specs)
    assert inside.gateway == RECORD.gateway
    both = sandboxes.joined(inside, attachment(apart, "10.6.0.2/24", 2), EndpointSettings(), specs)
    assert both.gateway == "end-apart"
    assert sandboxes.free_interface(both) == "eth3"
    only_inner = sandboxes.left(sandboxes.left(both, apart.id, specs), WEB.id, specs)
    assert (only_inner.gateway, list(only_inner.sandbox.endpoints)) == ("", ["inner"])
    assert sandboxes.free_interface(only_inner) == "eth0"


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
    with pytest.raises(PermissionDenied, match=text):
        sandboxes.check_connect(record, network(name, driver=driver))


def test_contents_with_the_hosts_network_are_the_hosts() -> None:
    record = msgspec.structs.replace(RECORD, mode="host", attachments=())
    contents = sandboxes.contents(request(extra_hosts=("x:1.2.3.4",)), record, HOST, [], "")
    assert contents == {
        "hosts": "127.0.0.1 localhost\n1.2.3.4\tx\n",
        "resolv.conf": "nameserver 127.0.0.53\n",
        "hostname": "metal\n",
    }


def test_a_container_without_network_knows_no_own_address() -> None:
    record = msgspec.structs.replace(RECORD, mode="none", attachments=())
    contents = sandboxes.contents(request(), record, HOST, [], "")
    assert contents["hosts"].endswith("ip6-allrouters\n")
    assert contents["hostname"] == "cccccccccccc\n"
