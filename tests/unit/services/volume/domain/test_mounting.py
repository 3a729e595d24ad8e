"""Mount options as flags and data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.volume.domain import mounting
from services.volume.domain.mounting import BIND, NODEV, NOSUID, RDONLY, REC, REMOUNT, SHARED, MountCall, plan


@pytest.mark.parametrize(
    ("options", "call"),
    [
        (
            {"type": "tmpfs", "device": "tmpfs", "o": "size=10m,nosuid,ro,mode=700"},
            MountCall("tmpfs", "tmpfs", NOSUID | RDONLY, "size=10m,mode=700"),
        ),
        ({"type": "none", "device": "/srv", "o": "bind"}, MountCall("/srv", "", BIND)),
        (
            {"type": "none", "device": "/srv", "o": "rbind,rshared"},
            MountCall("/srv", "", BIND | REC, "", (SHARED | REC,)),
        ),
        (
            {"type": "none", "device": "/srv", "o": "bind,ro,nodev"},
            MountCall("/srv", "", BIND | RDONLY | NODEV, "", (BIND | RDONLY | NODEV | REMOUNT,)),
        ),
        ({"type": "ext4", "device": "/dev/x", "o": "ro,rw,defaults"}, MountCall("/dev/x", "ext4")),
        ({"type": "ext4", "device": "/dev/x"}, MountCall("/dev/x", "ext4")),
    ],
)
def test_plans(options: dict[str, str], call: MountCall) -> None:
    assert plan(options) == call


def test_errors_show_the_call_as_dockerd_does() -> None:
    assert plan({"type": "none", "device": "/nope", "o": "bind"}).describe("/t") == "mount /nope:/t, flags: 0x1000"
    assert plan({"type": "nfs", "device": ":/x", "o": "addr=127.0.0.1"}).describe("/t") == (
        "mount :/x:/t, data: addr=127.0.0.1"
    )


@given(st.text("abc,=", max_size=10))
def test_a_password_is_never_shown(secret: str) -> None:
    word = "s3cr3t" + secret.replace(",", "")
    call = plan({"type": "cifs", "device": "//h/s", "o": f"username=u,password={word}"})
    assert "s3cr3t" not in call.describe("/t")
    assert word in call.data


def test_names_of_servers_become_addresses() -> None:
    call = plan({"type": "nfs", "device": ":/x", "o": "addr=files.example,rw,vers=4"})
    assert mounting.server_to_resolve(call) == "files.example"
    assert mounting.with_address(call, "files.example", "10.0.0.7").data == "addr=10.0.0.7,vers=4"


@pytest.mark.parametrize(
    "options",
    [
        {"type": "nfs", "device": ":/x", "o": "addr=10.0.0.1"},
        {"type": "nfs", "device": ":/x", "o": "vers=4"},
        {"type": "tmpfs", "device": "tmpfs", "o": "addr=files.example"},
    ],
)
def test_nothing_to_look_up(options: dict[str, str]) -> None:
    assert mounting.server_to_resolve(plan(options)) == ""
