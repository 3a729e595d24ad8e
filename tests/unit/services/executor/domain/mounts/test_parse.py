from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.mounts import parse
from shared.contracts.container import BindOptions, ImageOptions, MountRequest, TmpfsOptions, VolumeOptions
from shared.errors import InvalidArgument


def test_binds() -> None:
    point = parse.parse_bind("/host/./a:/b/:ro,rslave", "")
    assert (point.type, point.source, point.destination, point.rw) == ("bind", "/host/a", "/b", False)
    assert (point.mode, point.propagation) == ("ro,rslave", "rslave")
    assert parse.parse_bind("/a:/b", "").propagation == "rprivate"


def test_volumes() -> None:
    point = parse.parse_bind("data:/b:z", "")
    assert (point.type, point.name, point.source, point.rw, point.copy_up) == ("volume", "data", "", True, True)
    assert not parse.parse_bind("data:/b:nocopy", "").copy_up
    assert parse.parse_bind("data:/b", "nfs").driver == "nfs"
    anonymous = parse.parse_bind("/b", "")
    assert (anonymous.type, anonymous.name, anonymous.destination) == ("volume", "", "/b")


@pytest.mark.parametrize("raw", ["", ":", ":/b", "/a:ro", "/a:rw", "a:b:c:d", "/a:/b:rw:x"])
def test_invalid_specifications(raw: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse.parse_bind(raw, "")
    assert caught.value.message == f"invalid volume specification: '{raw}'"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("/a:/b:fish", "invalid mode: fish"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        (
            "/a:/",
            "invalid volume specification: '/a:/': invalid mount config for type \"bind\": "
            "invalid specification: destination can't be '/'",
        ),
        (
            "/a:b",
            "invalid volume specification: '/a:b': invalid mount config for type \"bind\": "
            "invalid mount path: 'b' mount path must be absolute",
        ),
        (
            "data:/b:shared",
            "invalid volume specification: 'data:/b:shared': invalid mount config for type \"volume\": "
            "field BindOptions must not be specified",
        ),
    ],
)
def test_refused_in_dockers_words(raw: str, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse.parse_bind(raw, "")
    assert caught.value.message == text


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (MountRequest(type="bind", source="/a"), "field Target must not be empty"),
        (MountRequest(type="bind", target="/b"), "field Source must not be empty"),
        (MountRequest(type="bind", source="a", target="/b"), "invalid mount path: 'a' mount path must be absolute"),
        (MountRequest(type="bind", source="/x", target="/b"), "bind source path does not exist: /x"),
        (
            MountRequest(type="bind", source="/a", target="/b", bind_options=BindOptions(propagation="x")),
            "invalid propagation mode: x",
        ),
        (
            MountRequest(type="bind", source="/a", target="/b", volume_options=VolumeOptions()),
            "field VolumeOptions must not be specified",
        ),
        (
            MountRequest(type="bind", source="/a", target="/b", bind_options=BindOptions(read_only_non_recursive=True)),
            "mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive",
        ),
        (
            MountRequest(type="volume", target="/b", read_only=True),
            "must not set ReadOnly mode when using anonymous volumes",
        ),
        (
            MountRequest(type="volume", target="/b", volume_options=VolumeOptions(subpath="x")),
            "must not set Subpath when using anonymous volumes",
        ),
        (
            MountRequest(type="volume", source="v", target="/b", volume_options=VolumeOptions(subpath="../x")),
            "subpath must be a relative path within the volume",
        ),
        (MountRequest(type="tmpfs", source="x", target="/b"), "field Source must not be specified"),
        (
            MountRequest(type="tmpfs", target="/b", tmpfs_options=TmpfsOptions(options=(("suid",),))),
            "invalid option: suid",
        ),
        (
            MountRequest(type="tmpfs", target="/b", tmpfs_options=TmpfsOptions(options=((),))),
            "invalid option array length",
        ),
        (MountRequest(type="image", target="/b"), "field Source must not be empty"),
        (
            MountRequest(type="image", source="i", target="/b", volume_options=VolumeOptions()),
            "field VolumeOptions must not be specified",
        ),
        (
            MountRequest(type="image", source="i", target="/b", image_options=ImageOptions(subpath="a/../../b")),
            "subpath must be a relative path within the image",
        ),
        (MountRequest(type="fish", target="/b"), "mount type unknown"),
        (MountRequest(type="volume", target="b"), "invalid mount path: 'b' mount path must be absolute"),
    ],
)
def test_refused_mounts(request_: MountRequest, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse.check_mount(request_, lambda path: path == "/a")
    assert caught.value.message == f'invalid mount config for type "{request_.type}": {text}'


def test_an_image_is_read_only() -> None:
    request = MountRequest(type="image", source="i:1", target="/b/", image_options=ImageOptions(subpath="a/b"))
    parse.check_mount(request, None)
    point = parse.parse_mount(request)
    assert (point.type, point.name, point.destination, point.rw) == ("image", "i:1", "/b", False)


def test_a_bind_may_have_its_source_made() -> None:
    request = MountRequest(type="bind", source="/x", target="/b", bind_options=BindOptions(create_mountpoint=True))
    parse.check_mount(request, lambda path: False)


@pytest.mark.parametrize(
    ("options", "read_only", "data"),
    [
        (None, False, ""),
        (None, True, "ro"),
        (TmpfsOptions(mode=0o1777, size_bytes=64 << 20), False, "mode=1777,size=64m"),
        (TmpfsOptions(size_bytes=1000, options=(("exec",),)), True, "ro,size=1000,exec"),
        (TmpfsOptions(size_bytes=2 << 30), False, "size=2g"),
        (TmpfsOptions(size_bytes=3 << 10), False, "size=3k"),
    ],
)
def test_tmpfs_data(options: TmpfsOptions | None, read_only: bool, data: str) -> None:
    assert parse.tmpfs_data(options, read_only) == data


def test_volumes_from() -> None:
    assert parse.parse_volumes_from("web") == ("web", "rw")
    assert parse.parse_volumes_from("web:ro") == ("web", "ro")
    for text in ("", "web:shared", "web:nocopy", "web:fish"):
        with pytest.raises(InvalidArgument):
            parse.parse_volumes_from(text)


@given(st.text("ab/:.,roz\0", max_size=14))
def test_any_bind_is_parsed_or_refused(raw: str) -> None:
    try:
        point = parse.parse_bind(raw, "")
    except InvalidArgument:
        return
    assert point.destination.startswith("/")
    assert point.destination.strip("/")
    assert "\0" not in point.destination + point.source
    assert point.type == ("bind" if point.source else "volume")
