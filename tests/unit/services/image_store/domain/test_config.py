from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.image_store.domain.config import encode, nanoseconds, parse, with_sizes
from shared.clock import rfc3339
from shared.contracts.common import Platform
from shared.contracts.container import ContainerConfig, Healthcheck
from shared.contracts.image_store import HistoryEntry, Image
from shared.digest import digest_of
from shared.errors import InvalidArgument

LAYER = "sha256:" + "1" * 64


def document(**more: Any) -> bytes:
    return json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [LAYER]}, **more}).encode()


def test_the_id_is_the_digest_of_the_document() -> None:
    raw = document(created="2026-01-01T00:00:00Z", author="me", comment="c", docker_version="20.10")
    image = parse(raw)
    assert (image.id, image.chain_id, image.diff_ids) == (digest_of(raw), LAYER, (LAYER,))
    assert (image.author, image.comment, image.docker_version) == ("me", "c", "20.10")
    assert image.created_ns == 1767225600 * 10**9


def test_null_stands_for_left_out_and_a_word_for_a_list() -> None:
    config = {"Env": None, "Labels": None, "Cmd": "sh", "Entrypoint": None, "Volumes": {"/v": None}, "Unknown": [1]}
    image = parse(document(config=config, history=None, created=None))
    assert image.config == ContainerConfig(cmd=("sh",), volumes={"/v": {}})
    assert parse(document(config=None)).config == ContainerConfig()


def test_a_health_check_is_taken_over() -> None:
    health = {"Test": ["CMD", "x"], "Interval": 5, "Retries": 3}
    assert parse(document(config={"Healthcheck": health})).config.healthcheck == Healthcheck(
        test=("CMD", "x"), interval=5, retries=3
    )


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "invalid image JSON"),
        (b"[]", "invalid image JSON"),
        (b'{"os":1}', "invalid image JSON"),
        (b"\xff", "invalid image JSON"),
        (b'{"x":' * 100_000, "invalid image JSON"),
        (b"{}", "no RootFS key"),
        (b'{"rootfs":{"diff_ids":["x"]}}', "diff_ids: not a sha256 digest"),
        (json.dumps({"rootfs": {"diff_ids": [LAYER] * 501}}).encode(), "501 layers"),
    ],
)
def test_what_is_no_configuration(raw: bytes, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        parse(raw)


def test_each_step_that_made_a_layer_shows_its_size() -> None:
    history = [{"created_by": "a"}, {"created_by": "b", "empty_layer": True}, {"created_by": "c"}]
    two = {"diff_ids": [LAYER, LAYER]}
    image = with_sizes(parse(document(history=history, rootfs=two)), (10, 5))
    assert [entry.size for entry in image.history] == [10, 0, 5]
    assert image.size == 15


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T00:00:00.5+00:00", 500_000_000),
        ("1970-01-01T02:00:00.000000001+02:00", 1),
        ("2026-02-30T00:00:00Z", 0),
        ("0001-01-01T00:00:00Z", 0),
        ("yesterday", 0),
        ("", 0),
    ],
)
def test_times(text: str, expected: int) -> None:
    assert nanoseconds(text) == expected


@given(st.integers(min_value=1, max_value=4 * 10**18))
def test_times_survive_to_the_nanosecond(moment: int) -> None:
    assert nanoseconds(rfc3339(moment)) == moment


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
configs = st.builds(
    ContainerConfig,
    user=texts,
    env=st.lists(texts, max_size=3).map(tuple),
    cmd=st.none() | st.lists(texts, max_size=3).map(tuple),
    entrypoint=st.none() | st.lists(texts, max_size=3).map(tuple),
    labels=st.dictionaries(texts, texts, max_size=3),
    working_dir=texts,
    volumes=st.none() | st.dictionaries(texts, st.just({}), min_size=1, max_size=2),
    exposed_ports=st.none() | st.dictionaries(texts, st.just({}), min_size=1, max_size=2),
    healthcheck=st.none()
    | st.builds(Healthcheck, test=st.lists(texts, max_size=2).map(tuple), retries=st.integers(0, 9)),
    stop_timeout=st.none() | st.integers(0, 100),
)


@given(configs, texts)
def test_what_is_written_is_read_again(config: ContainerConfig, comment: str) -> None:
    made = Image(
        id="",
        config=config,
        comment=comment,
        created="2026-01-01T00:00:00Z",
        platform=Platform(architecture="arm64", variant="v9"),
        diff_ids=(LAYER,),
        history=(HistoryEntry(comment=comment),),
    )
    read = parse(encode(made))
    assert (read.config, read.comment, read.platform, read.diff_ids) == (config, comment, made.platform, (LAYER,))
    assert read.history == made.history
