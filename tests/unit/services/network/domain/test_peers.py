import ipaddress

from services.network.domain.peers import Entries, addresses, entries, missing, peers, stale
from shared.contracts.network import EndpointRecord
from shared.contracts.network_driver import Peer

FOUR, SIX = ipaddress.ip_address("10.0.1.2"), ipaddress.ip_address("fd00::2")
HOST, OTHER = ipaddress.ip_address("192.0.2.2"), ipaddress.ip_address("192.0.2.3")


def endpoint(id: str, node: str) -> EndpointRecord:
    return EndpointRecord(
        id=id,
        network_id="n",
        container_id="c",
        container_name="web",
        node=node,
        mac_address="02:42:0a:00:01:02",
        ipv4_address="10.0.1.2/24",
        ipv6_address="fd00::2/64",
    )


def test_addresses_are_those_of_both_versions() -> None:
    assert addresses(endpoint("e", "here")) == (FOUR, SIX)


def test_peers_are_the_endpoints_of_other_hosts_that_are_known() -> None:
    records = [endpoint("b", "there"), endpoint("a", "there"), endpoint("c", "here"), endpoint("d", "unknown")]
    known = peers(records, "here", {"here": "192.0.2.1", "there": "192.0.2.2"})
    assert known == (Peer(mac="02:42:0a:00:01:02", addresses=("10.0.1.2", "fd00::2"), host="192.0.2.2"),) * 2


def test_entries_lead_addresses_to_macs_and_macs_to_hosts() -> None:
    found = entries([Peer(mac="m", addresses=("10.0.1.2", "fd00::2"), host="192.0.2.2")])
    assert found == Entries({"m": HOST}, {FOUR: "m", SIX: "m"})


def test_an_endpoint_that_moved_is_replaced_and_one_that_is_gone_is_stale() -> None:
    present = Entries({"m": HOST, "old": HOST}, {FOUR: "m", SIX: "old"})
    wanted = Entries({"m": OTHER, "new": HOST}, {FOUR: "m"})
    assert missing(wanted, present) == Entries({"m": OTHER, "new": HOST}, {})
    assert stale(wanted, present) == Entries({"old": HOST}, {SIX: "old"})
    assert missing(wanted, wanted) == stale(wanted, wanted) == Entries()
