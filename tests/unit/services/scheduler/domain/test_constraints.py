import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scheduler.domain.constraints import Constraint, attributes, parse_all
from shared.contracts.scheduler import NodeRecord
from shared.errors import InvalidArgument

RECORD = NodeRecord(
    id="abc",
    name="Node1",
    role="hub",
    address="192.0.2.1:7377",
    joined=1,
    labels={"disk": "SSD"},
    engine_labels={"a": "b"},
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("node.labels.disk==ssd", True),
        ("node.labels.disk == SSD", True),
        ("node.labels.disk!=ssd", False),
        ("node.labels.rack==1", False),
        ("node.labels.rack!=1", True),
        ("engine.labels.a==b", True),
        ("node.hostname==node1", True),
        ("node.id==abc", True),
        ("node.role!=leaf", True),
        ("node.ip==192.0.2.1", True),
        ("node.platform.os==linux, node.platform.arch==amd64", True),
        ("node.platform.os==linux,node.platform.arch==arm64", False),
        ("", True),
    ],
)
def test_constraints_are_about_what_hosts_have(text: str, holds: bool) -> None:
    assert all(each.holds(attributes(RECORD)) for each in parse_all(text)) is holds


@pytest.mark.parametrize(
    "text", ["node.disk==ssd", "node.id", "node.id=x", "==x", "node.id==", "node.labels.==x", ",", "a==b==c"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid constraint"):
        parse_all(text)


@given(st.text(max_size=40))
def test_any_text_is_a_constraint_or_refused(text: str) -> None:
    try:
        found = Constraint.parse(text)
    except InvalidArgument:
        return
    assert Constraint.parse(f"{found.key}{'==' if found.equal else '!='}{found.value}") == found


def test_equal_sets_are_equal() -> None:
    assert parse_all("node.id==a,node.role==hub") == parse_all("node.role==hub,node.id==A,node.id==a")
