from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.http.version import Version
from gateway.listing import inspect_bytes, list_bytes
from gateway.translate import container as shown
from gateway.translate.status import status_text
from gateway.views import Container
from shared.contracts.container import ContainerConfig, ContainerSpec, ContainerStatus, HostConfig
from shared.contracts.executor import UsageEntry

V = Version(1, 51)
NOW = 10_000_000_000_000


def container(name: str = "c", label: str = "", state: str = "running") -> Container:
    spec = ContainerSpec(
        id="ab" * 32, name=name, created=5, config=ContainerConfig(labels={"l": label}), host_config=HostConfig(),
        image_id="sha256:cd",
    )  # fmt: skip
    return Container(spec, ContainerStatus(state="running", started_at=NOW - 90_000_000_000), "node")


@given(st.lists(st.tuples(st.text(), st.text()), max_size=4), st.booleans())
def test_spliced_bytes_are_what_encoding_anew_would_give(names: list[tuple[str, str]], with_sizes: bool) -> None:
    containers = [container(name, label) for name, label in names]
    entry = UsageEntry(id="ab" * 32, rw_bytes=3, rootfs_bytes=9)
    sizes = {entry.id: entry} if with_sizes else None
    expected = [
        shown.summary(one.spec, one.status, V, status_text(one.status, NOW)) | (shown.sizes(entry) if sizes else {})
        for one in containers
    ]
    for _ in range(2):
        assert json.loads(list_bytes(containers, V, NOW, sizes)) == json.loads(json.dumps(expected))


def test_the_text_follows_the_clock() -> None:
    one = container()
    assert b'"Status":"Up About a minute"' in list_bytes([one], V, NOW)
    assert b'"Status":"Up About an hour"' in list_bytes([one], V, NOW + 3600 * 1_000_000_000)


def test_what_was_encoded_is_kept_for_each_version() -> None:
    one = container()
    first = inspect_bytes(one, V)
    assert inspect_bytes(one, V) == first
    assert inspect_bytes(one, Version(1, 55)) != first
    assert json.loads(first)["Id"] == one.id
    assert list_bytes([], V, NOW) == b"[]\n"


def test_an_image_is_called_by_its_id_where_it_has_lost_its_name() -> None:
    one = container()
    for by_id, name in ((frozenset[str](), ""), (frozenset((one.id,)), one.spec.image_id), (frozenset[str](), "")):
        assert json.loads(list_bytes([one], V, NOW, by_id=by_id))[0]["Image"] == name


def test_of_a_host_that_is_not_heard_of_no_state_is_told() -> None:
    one = container()
    text = json.loads(list_bytes([one], V, NOW, down=frozenset({one.node})))[0]["Status"]
    assert text == "Host Down"
