"""Names of containers."""

from __future__ import annotations

import ipaddress

import msgspec

from services.network.domain.resolution import Directory, named, needs_dns
from services.network.domain.sandboxes import Attachment, SandboxRecord
from shared.contracts.container import EndpointSettings
from shared.contracts.network import Sandbox

A = ipaddress.IPv4Address


def member(container: str, *networks: tuple[str, str], aliases: tuple[str, ...] = ()) -> SandboxRecord:
    """A sandbox on networks, with these addresses."""
    ends = tuple(
        Attachment(
            network_id=f"id-{name}", network_name=name, endpoint_id="e", interface="eth0", address=f"{address}/24"
        )
        for name, address in networks
    )
    shown = {name: EndpointSettings(dns_names=(container, *aliases)) for name, _ in networks}
    sandbox = Sandbox(container_id=container, sandbox_id="s", endpoints=shown)
    return SandboxRecord(sandbox=sandbox, container_name=container, attachments=ends)


DB = member("Db", ("web", "10.0.0.2"), aliases=("store",))
REPLICA = member("replica", ("web", "10.0.0.3"), aliases=("store",))
APART = member("apart", ("other", "10.1.0.2"))
ASKER = member("asker", ("web", "10.0.0.9"))


def directory(*records: SandboxRecord) -> Directory:
    made = Directory()
    for record in records:
        made.add(record)
    return made


def test_names_and_aliases_in_any_case_and_with_their_network() -> None:
    known = directory(DB, ASKER)
    for name in ("db", "store", "db.web"):
        assert known.find(ASKER, name) == [A("10.0.0.2")]
    assert known.find(ASKER, "db.other") == []
    assert known.find(ASKER, "nobody") == []


def test_a_shared_alias_goes_round() -> None:
    known = directory(DB, REPLICA)
    first, second = known.find(ASKER, "store"), known.find(ASKER, "store")
    assert set(first) == {A("10.0.0.2"), A("10.0.0.3")}
    assert first != second


def test_networks_do_not_know_each_other() -> None:
    known = directory(DB, APART)
    assert known.find(APART, "db") == []
    assert known.name_of(APART, A("10.0.0.2")) == ""
    both = member("both", ("web", "10.0.0.5"), ("other", "10.1.0.5"))
    assert known.find(both, "db") == [A("10.0.0.2")]
    assert known.find(both, "apart") == [A("10.1.0.2")]


def test_addresses_have_names() -> None:
    assert directory(DB).name_of(ASKER, A("10.0.0.2")) == "db.web"


def test_what_is_removed_is_unknown_and_the_rest_stays() -> None:
    known = directory(DB, REPLICA)
    known.remove(DB)
    known.remove(DB)
    assert known.find(ASKER, "store") == [A("10.0.0.3")]
    assert known.find(ASKER, "db") == []
    assert known.name_of(ASKER, A("10.0.0.2")) == ""


def test_the_default_bridge_has_no_names() -> None:
    plain = member("plain", ("bridge", "172.17.0.2"))
    assert named(plain) == []
    assert directory(plain).find(plain, "plain") == []
    assert not needs_dns(["bridge", "host"])
    assert needs_dns(["bridge", "web"])


def test_an_endpoint_without_names() -> None:
    silent = msgspec.structs.replace(DB, sandbox=msgspec.structs.replace(DB.sandbox, endpoints={}))
    assert directory(silent).name_of(ASKER, A("10.0.0.2")) == ""
