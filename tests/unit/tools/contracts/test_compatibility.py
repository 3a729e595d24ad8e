from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import CONTRACTS
from shared.contracts.base import Contract, Empty, Endpoint, Event, Keys, Message
from shared.contracts.document import document
from tools.contracts.compatibility import breaches


class Inner(Message, frozen=True):
    size: int = 0


class Tree(Message, frozen=True):
    name: str
    inner: Inner = Inner()
    children: tuple[Tree, ...] = ()


CONTRACT = Contract(
    "forest",
    "v1",
    "Trees.",
    endpoints=(Endpoint("forest.plant", Tree, Empty, idempotent=True),),
    events=(Event("forest.fallen", Tree, kept=False),),
    owns=(Keys("trees.*", Tree),),
)


def changed(**fields: Any) -> list[str]:
    """What breaks when `Tree` has these fields: (type, default) or (type,)."""
    forms = [(name, *form) for name, form in {**STOCK, **fields}.items() if form is not None]
    kind = msgspec.defstruct("Tree", forms, bases=(Message,), frozen=True, kw_only=True)
    endpoint = replace(CONTRACT.endpoints[0], request=kind)
    event, keys = replace(CONTRACT.events[0], message=kind), replace(CONTRACT.owns[0], record=kind)
    old = document(replace(OLD, endpoints=(OLD.endpoints[0],)))
    return breaches(old, document(replace(CONTRACT, endpoints=(endpoint,), events=(event,), owns=(keys,))))


STOCK: dict[str, Any] = {"name": (str,), "inner": (Inner, Inner())}
_old = msgspec.defstruct(
    "Tree", [(name, *form) for name, form in STOCK.items()], bases=(Message,), frozen=True, kw_only=True
)
OLD = replace(
    CONTRACT,
    endpoints=(replace(CONTRACT.endpoints[0], request=_old),),
    events=(replace(CONTRACT.events[0], message=_old),),
    owns=(replace(CONTRACT.owns[0], record=_old),),
)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_a_contract_keeps_its_own_promises(contract):
    assert breaches(document(contract), document(contract)) == []


def test_recursive_messages_are_compared():
    assert breaches(document(CONTRACT), document(CONTRACT)) == []


def test_a_field_with_a_default_and_an_endpoint_may_come():
    assert changed(height=(int, 0)) == []
    more = replace(CONTRACT, endpoints=(*CONTRACT.endpoints, Endpoint("forest.fell", Tree, Empty)))
    assert breaches(document(CONTRACT), document(more)) == []
    assert breaches(document(more), document(CONTRACT)) == ["fell is gone", "fell.reply is gone"]


@pytest.mark.parametrize(
    ("fields", "breach"),
    [
        ({"inner": None}, "plant.inner is gone"),
        ({"name": (int,)}, "plant.name: type 'string' became 'integer'"),
        ({"height": (int,)}, "plant.height became required"),
        ({"name": (str, "oak")}, "plant.name became optional"),
        ({"name": (str | None,)}, "plant.name: 0 alternatives became 2"),
    ],
)
def test_other_changes_of_a_message_are_told_wherever_it_is_used(fields, breach):
    found = changed(**fields)
    assert breach in found
    assert breach.replace("plant", "forest.fallen", 1) in found
    assert breach.replace("plant", "keys trees.*", 1) in found


def test_a_changed_default_is_another_meaning_of_a_field_that_is_not_sent():
    old = msgspec.defstruct("Tree", [("height", int, 1)], bases=(Message,), frozen=True, kw_only=True)
    new = msgspec.defstruct("Tree", [("height", int, 2)], bases=(Message,), frozen=True, kw_only=True)
    plant = CONTRACT.endpoints[0]
    one, other = (Contract("forest", "v1", "", endpoints=(replace(plant, request=kind),)) for kind in (old, new))
    assert breaches(document(one), document(other)) == ["plant.height: default 1 became 2"]


def test_addresses_keys_and_idempotence_are_promises():
    plant = CONTRACT.endpoints[0]
    free = replace(CONTRACT, endpoints=(replace(plant, host_bound=False),))
    assert breaches(document(CONTRACT), document(free)) == [
        "plant: address shoal.v1.forest.{node}.plant became shoal.v1.forest.plant"
    ]
    once = replace(CONTRACT, endpoints=(replace(plant, idempotent=False),))
    assert breaches(document(CONTRACT), document(once)) == ["plant was idempotent"]
    assert breaches(document(CONTRACT), document(replace(CONTRACT, owns=()))) == ["keys trees.* are gone"]
    moved = replace(CONTRACT, owns=(replace(CONTRACT.owns[0], bucket="other"),))
    assert breaches(document(CONTRACT), document(moved)) == ["keys trees.*: bucket shoal became other"]


def _schemas(name: str) -> dict[str, Any]:
    schemas: dict[str, Any] = document(CONTRACTS[name])["components"]["schemas"]
    return schemas


REQUESTS = [
    (name, endpoint.request.__name__)
    for name, contract in CONTRACTS.items()
    for endpoint in contract.endpoints
    if _schemas(name)[endpoint.request.__name__].get("properties")
]


@given(st.sampled_from(REQUESTS), st.data())
def test_no_field_of_a_request_can_go_unnoticed(request_of, data):
    name, message = request_of
    old, new = document(CONTRACTS[name]), copy.deepcopy(document(CONTRACTS[name]))
    fields = new["components"]["schemas"][message]["properties"]
    field = data.draw(st.sampled_from(sorted(fields)))
    del fields[field]
    assert any(breach.endswith(f".{field} is gone") for breach in breaches(old, new))
    assert breaches(new, old) == [] or field in _schemas(name)[message].get("required", ())
