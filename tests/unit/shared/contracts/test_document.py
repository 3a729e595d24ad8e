import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from shared.bus import wire
from shared.contracts import CONTRACTS
from shared.contracts.base import Contract, Empty, Endpoint, Event, Message
from shared.contracts.common import DockerEvent
from shared.contracts.document import document
from shared.contracts.image_store import REFERENCES
from shared.contracts.volume import CREATE, CreateRequest
from shared.state.nats import EXPECTED
from shared.state.store import SCHEMA, Envelope


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


def test_what_holds_for_all_is_in_each():
    made = document(CONTRACTS["image_store"])
    headers = made["x-wire"]["requestHeaders"]["properties"]
    assert {wire.TIMEOUT, wire.REQUEST_ID, wire.AGE} < set(headers)
    assert set(made["x-wire"]["replyHeaders"]["properties"]) == {wire.ERROR, wire.ERROR_CODE, wire.GONE}
    assert set(made["x-wire"]["error"]["properties"]) == set(wire.ErrorBody.__struct_fields__)
    assert made["x-wire"]["kinds"]["not_found"] == 404
    assert set(made["x-records"]["envelope"]["properties"]) == set(Envelope.__struct_fields__)
    assert made["x-records"]["envelope"]["properties"]["schema"]["const"] == SCHEMA
    assert EXPECTED in made["x-records"]["writeHeaders"]["properties"]


def test_the_example_of_an_escaped_key():
    assert (
        "docker.io/library/a:1 is docker=2Eio/library/a=3A1"
        in document(CONTRACTS["volume"])["x-records"]["description"]
    )
    assert REFERENCES.key("n", "docker.io/library/a:1") == "references.n.docker=2Eio/library/a=3A1"


def test_operations_say_what_their_declarations_say():
    operations = document(CONTRACTS["image_store"])["operations"]
    assert operations["release"]["description"] == "Removes the snapshot `key` for good."
    assert "description" not in operations["list"]
    assert "Durable when it answers" in operations["fetch"]["description"]
