"""Names of containers."""

from __future__ import annotations

import ipaddress

import msgspec

from services.network.domain.endpoints import Attachment
from services.network.domain.resolution import Directory, named, needs_dns
from services.network.domain.sandboxes import SandboxRecord
from shared.contracts.container import EndpointSettings
from shared.contracts.network import Sandbox

A = ipaddress.ip_address


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
    assert known.find(ASKER, "db.other") is None
    assert known.find(ASKER, "nobody") is None


def test_a_shared_alias_goes_round() -> None:
    known = directory(DB, REPLICA)
    first, second = known.find(ASKER, "store"), known.find(ASKER, "store")
    assert first == [A("10.0.0.2"), A("10.0.0.3")] or first == [A("10.0.0.3"), A("10.0.0.2")]
    assert second == list(reversed(first))


def test_networks_do_not_know_each_other() -> None:
    known = directory(DB, APART)
    assert known.find(APART, "db") is None
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
    assert known.find(ASKER, "db") is None
    assert known.name_of(ASKER, A("10.0.0.2")) == ""


def test_the_default_bridge_has_no_names() -> None:
    plain = member("plain", ("bridge", "172.17.0.2"))
    assert named(plain) == []
    assert directory(plain).find(plain, "plain") is None
    assert not needs_dns(["bridge", "host"])
    assert needs_dns(["bridge", "web"])


def test_an_endpoint_without_names() -> None:
    silent = msgspec.structs.replace(DB, sandbox=msgspec.structs.replace(DB.sandbox, endpoints={}))
    assert directory(silent).name_of(ASKER, A("10.0.0.2")) == ""


def test_both_families_of_a_name() -> None:
    entry = msgspec.structs.replace(DB.attachments[0], address6="fd00::2/64")
    known = directory(msgspec.structs.replace(DB, attachments=(entry,)))
    assert known.find(ASKER, "db") == [A("10.0.0.2"), A("fd00::2")]
    assert known.name_of(ASKER, A("fd00::2")) == "db.web"


def test_names_and_networks_may_have_dots() -> None:
    dotted = member("a.b", ("c.d", "10.2.0.2"))
    asker = member("x", ("c.d", "10.2.0.9"))
    known = directory(dotted)
    assert known.find(asker, "a.b.c.d") == [A("10.2.0.2")]
    assert known.find(asker, "a.b") == [A("10.2.0.2")]
    assert known.find(asker, "a.b.c") is None


def test_a_container_has_names_of_its_own_for_others() -> None:
    shown = {"web": EndpointSettings(links=("db:postgres", "replica"))}
    linking = msgspec.structs.replace(ASKER, sandbox=msgspec.structs.replace(ASKER.sandbox, endpoints=shown))
    known = directory(DB, REPLICA)
    assert known.find(linking, "postgres") == [A("10.0.0.2")]
    assert known.find(linking, "postgres.web") == [A("10.0.0.2")]
    assert known.find(linking, "replica") == [A("10.0.0.3")]
    assert known.find(ASKER, "postgres") is None


def test_the_network_with_the_way_out_is_looked_at_first() -> None:
    both = member("both", ("a", "10.3.0.9"), ("b", "10.4.0.9"))
    ends = [msgspec.structs.replace(entry, endpoint_id=f"end-{entry.network_name}") for entry in both.attachments]
    both = msgspec.structs.replace(both, attachments=tuple(ends), gateway="end-b")
    known = directory(member("db", ("a", "10.3.0.2"), ("b", "10.4.0.2")))
    assert known.find(both, "db") == [A("10.4.0.2")]
    assert [entry.network_name for entry in named(both)] == ["b", "a"]
