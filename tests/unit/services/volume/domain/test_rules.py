"""What a volume may be called and made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.volume.domain import rules
from shared.errors import InvalidArgument, NotFound


@pytest.mark.parametrize("name", ["v1", "my-volume_2.0", "0a", "a" * 255])
def test_good_names(name: str) -> None:
    rules.check_name(name)
    assert "/" not in name


@pytest.mark.parametrize("name", ["a b", "../x", ".x", "x/y", "-x", "x\n", "ä1", "..", ""])
def test_bad_names_in_dockerds_words(name: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        rules.check_name(name)
    assert caught.value.message == (
        f'create {name}: "{name}" includes invalid characters for a local volume name, only '
        '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
    )


def test_names_too_short_and_too_long() -> None:
    with pytest.raises(InvalidArgument, match="create a: volume name is too short, names should be at least two"):
        rules.check_name("a")
    with pytest.raises(InvalidArgument, match="volume name is too long"):
        rules.check_name("a" * 256)


@given(st.text(max_size=12))
def test_a_good_name_is_one_component_of_a_path(name: str) -> None:
    try:
        rules.check_name(name)
    except InvalidArgument:
        return
    assert name not in (".", "..")
    assert not set(name) & set("/\0\n ")


def test_drivers() -> None:
    rules.check_driver("v1", "")
    rules.check_driver("v1", "local")
    with pytest.raises(NotFound) as caught:
        rules.check_driver("vv", "foo")
    assert caught.value.message == 'create vv: error looking up volume plugin foo: plugin "foo" not found'


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"foo": "bar"}, 'create vv: invalid option: "foo"'),
        ({"type": "tmpfs"}, 'create vv: missing required option: "device"'),
        ({"o": "bind"}, 'create vv: missing required option: "device"'),
        ({"device": "/x"}, 'create vv: missing required option: "type"'),
        ({"size": "10m"}, "create vv: quota size requested but no quota support"),
    ],
)
def test_bad_options_in_dockerds_words(options: dict[str, str], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        rules.check_options("vv", options)
    assert caught.value.message == text


def test_good_options() -> None:
    full = {"type": "tmpfs", "device": "tmpfs", "o": "size=10m"}
    rules.check_options("vv", full)
    rules.check_options("vv", {})
    assert rules.needs_mount(full)
    assert not rules.needs_mount({})


@pytest.mark.parametrize("subpath", ["/etc", "..", "a/../b", "../x", "a\0b"])
def test_a_subpath_stays_inside(subpath: str) -> None:
    with pytest.raises(InvalidArgument, match="subpath must be a relative path within the volume"):
        rules.check_subpath(subpath)


@pytest.mark.parametrize("subpath", ["", "a", "a/b", "..a", "a/..b/c"])
def test_relative_subpaths(subpath: str) -> None:
    rules.check_subpath(subpath)
    assert not subpath.startswith("/")
