"""What is done about a crash's remains."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from services.network.domain import naming
from services.network.domain.endpoints import Attachment
from services.network.domain.recovery import Found, mend
from services.network.domain.sandboxes import SandboxRecord
from shared.contracts.network import EndpointRecord, Sandbox

NETWORK = "n1"
IDS = [f"{number:x}" * 64 for number in range(1, 6)]


def record(sandbox_id: str, mode: str = "bridge", network: str = NETWORK) -> SandboxRecord:
    end = Attachment(
        network_id=network,
        network_name="web",
        endpoint_id=f"end-{sandbox_id[:4]}",
        interface="eth0",
        address="10.0.0.2/8",
    )
    return SandboxRecord(
        sandbox=Sandbox(container_id=f"container-{sandbox_id[:4]}", sandbox_id=sandbox_id),
        container_name="x",
        mode=mode,
        attachments=(end,),
    )


def endpoint(sandbox_id: str) -> EndpointRecord:
    return EndpointRecord(
        id=f"end-{sandbox_id[:4]}", network_id=NETWORK, container_id="c", container_name="c", node="n"
    )


def found(
    records: list[SandboxRecord],
    alive: list[str],
    links: list[str],
    ends: list[str],
    marks: dict[str, str] | None = None,
) -> Found:
    names = frozenset(naming.namespace_file(each) for each in alive)
    return Found(tuple(records), names, names, frozenset(links), marks or {}, tuple(endpoint(each) for each in ends))


def test_what_is_whole_goes_on() -> None:
    one = IDS[0]
    mending = mend(
        found([record(one)], [one], ["eth0", "shoal0", naming.veth("shl", one, 0)], [one]), "shl", ["shoal0"], [NETWORK]
    )
    assert mending.keep == (record(one),)
    rest = (mending.lost, mending.namespaces, mending.links, mending.endpoints)
    assert not any(rest)


def test_a_sandbox_of_another_boot_is_lost() -> None:
    one = IDS[0]
    state = Found(
        (record(one),), frozenset({naming.namespace_file(one)}), frozenset(), frozenset(), {}, (endpoint(one),)
    )
    mending = mend(state, "shl", [], [NETWORK])
    assert mending.lost == (record(one),)
    assert mending.namespaces == {naming.namespace_file(one)}
    assert mending.endpoints == (endpoint(one),)


def test_bridges_of_forgotten_networks_go_and_strangers_stay() -> None:
    mending = mend(found([], [], ["shl-123", "shl-456", "eth0", "docker0", "shlx"], []), "shl", ["shl-456"], [])
    assert mending.links == {"shl-123"}


def test_what_was_made_for_a_network_goes_with_it_whatever_its_name() -> None:
    marks = {"mine0": "shl:n9", "eth0.10": "shl:n8", "eth0": "uplink", "br7": "oth:n9"}
    mending = mend(found([], [], [*marks], [], marks), "shl", ["eth0.10"], [])
    assert mending.links == {"mine0"}


def test_an_interface_that_the_record_does_not_have_goes() -> None:
    one = IDS[0]
    names = [naming.veth("shl", one, index) for index in (0, 1)]
    assert mend(found([record(one)], [one], names, [one]), "shl", [], [NETWORK]).links == {names[1]}


def test_what_the_host_has_no_end_of_is_not_looked_for() -> None:
    one = IDS[0]
    stacked = msgspec.structs.replace(record(one).attachments[0], kind="macvlan")
    state = found(
        [msgspec.structs.replace(record(one), attachments=(stacked,))], [one], [naming.veth("shl", one, 0)], []
    )
    assert mend(state, "shl", [], [NETWORK]).links == {naming.veth("shl", one, 0)}


def test_a_sandbox_on_a_removed_network_is_lost() -> None:
    one = IDS[0]
    assert mend(found([record(one)], [one], [], []), "shl", [], []).lost == (record(one),)


def test_a_container_with_the_hosts_network_needs_no_namespace() -> None:
    assert mend(found([record(IDS[0], "host")], [], [], []), "shl", [], []).keep == (record(IDS[0], "host"),)


@given(*(st.sets(st.sampled_from(IDS)) for _ in range(4)))
def test_whatever_a_crash_left_all_agree_afterwards(
    records: set[str], alive: set[str], links: set[str], ends: set[str]
) -> None:
    state = found(
        [record(each) for each in records], list(alive), [naming.veth("shl", each, 0) for each in links], list(ends)
    )
    mending = mend(state, "shl", [], [NETWORK])
    kept = {each.id for each in mending.keep}
    assert kept == records & alive
    assert {each.id for each in mending.lost} == records - alive
    assert state.namespaces - mending.namespaces == {naming.namespace_file(each) for each in kept}
    assert state.links - mending.links == {naming.veth("shl", each, 0) for each in kept & links}
    after = {each.id for each in state.endpoints} - {each.id for each in mending.endpoints}
    assert after == {endpoint(each).id for each in kept & ends}
