import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from shared.contracts import CONTRACTS
from shared.contracts.base import Contract, Empty, Endpoint, Event, Message
from shared.contracts.common import DockerEvent
from shared.contracts.document import document
from shared.contracts.volume import CREATE, CreateRequest


def references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_every_reference_leads_somewhere(contract):
    made = msgspec.json.decode(msgspec.json.encode(document(contract)))
    for reference in references(made):
        found = made
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
    assert made["asyncapi"] == "3.0.0"
    assert set(made["operations"]) >= {endpoint.operation for endpoint in contract.endpoints}


def test_every_variable_of_an_address_is_described():
    for contract in CONTRACTS.values():
        for channel in document(contract)["channels"].values():
            variables = {part.strip("{}") for part in (channel["address"] or "").split(".") if part.startswith("{")}
            assert set(channel.get("parameters", {})) == variables


def test_equal_contracts_give_equal_bytes():
    first, second = (json.dumps(document(replace(CONTRACTS["executor"]))) for _ in range(2))
    assert first == second


def test_descriptions_have_no_indentation_of_the_source():
    schemas = document(CONTRACTS["image_store"])["components"]["schemas"]
    assert "\n    " not in schemas["StreamOffer"]["description"]


def test_endpoints_that_any_instance_serves_have_no_node():
    free = replace(CREATE, host_bound=False)
    made = document(Contract("volume", "v1", "", endpoints=(free,)))
    assert made["channels"]["create"] == {
        "address": "shoal.v1.volume.create",
        "messages": {"request": {"$ref": "#/components/messages/CreateRequest"}},
    }


def test_signals_and_kept_events_have_their_subjects():
    made = document(Contract("a", "v1", "", events=(Event("a", DockerEvent), Event("a.hint", DockerEvent, kept=False))))
    assert made["channels"]["a"]["address"] == "shoal.v1.events.a.{action}"
    assert made["channels"]["a.hint"]["address"] == "shoal.v1.signals.a.hint"


def test_two_messages_of_one_name_are_refused():
    other: Any = msgspec.defstruct("CreateRequest", [("x", int)], bases=(Message,), frozen=True)
    endpoints = (Endpoint("a.one", CreateRequest, Empty), Endpoint("a.two", other, Empty))
    with pytest.raises(ValueError, match="CreateRequest"):
        document(Contract("a", "v1", "", endpoints=endpoints))
