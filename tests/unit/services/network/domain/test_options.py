"""Options of network drivers."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.network.domain import options
from shared.errors import InvalidArgument


def test_booleans_as_go_reads_them() -> None:
    for text in ("1", "t", "T", "true", "TRUE", "True"):
        assert options.flag({options.ICC: text}, options.ICC, False)
    for text in ("0", "f", "F", "false", "FALSE", "False"):
        assert not options.flag({options.ICC: text}, options.ICC, True)
    assert options.flag({}, options.ICC, True)
    with pytest.raises(InvalidArgument) as caught:
        options.flag({options.ICC: "perhaps"}, options.ICC, True)
    assert caught.value.message == (
        'failed to parse com.docker.network.bridge.enable_icc value: perhaps (strconv.ParseBool: parsing "perhaps": '
        "invalid syntax)"
    )


@pytest.mark.parametrize(("text", "expected"), [("0", 1500), ("9000", 9000), ("+68", 68)])
def test_an_mtu(text: str, expected: int) -> None:
    assert options.mtu({options.MTU: text}) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", 'failed to parse com.docker.network.driver.mtu value: x (strconv.Atoi: parsing "x": invalid syntax)'),
        ("-3", "invalid MTU number: -3"),
        ("65536", "invalid MTU number: 65536"),
        ("٣", 'failed to parse com.docker.network.driver.mtu value: ٣ (strconv.Atoi: parsing "٣": invalid syntax)'),
    ],
)
def test_what_is_no_mtu(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        options.mtu({options.MTU: text})
    assert caught.value.message == message


def test_addresses() -> None:
    assert options.address({}, options.HOST_BINDING) is None
    assert options.address({options.HOST_BINDING: "::1"}, options.HOST_BINDING) == ipaddress.ip_address("::1")
    for text in ("x", "", "fe80::1%eth0"):
        with pytest.raises(InvalidArgument, match=r"failed to parse .*host_binding_ipv4 value: .* \(nil ip\)"):
            options.address({options.HOST_BINDING: text}, options.HOST_BINDING)


def test_gateway_modes() -> None:
    assert options.gateway_mode({}, 4) == "nat"
    assert options.gateway_mode({options.GATEWAY_MODE[6]: "routed"}, 6) == "routed"
    with pytest.raises(InvalidArgument, match=r"gateway_mode_ipv4 value: x \(unknown gateway mode x\)"):
        options.gateway_mode({options.GATEWAY_MODE[4]: "x"}, 4)


@given(st.text(max_size=20))
def test_an_interfaces_name_cannot_leave_its_place(text: str) -> None:
    if options.is_interface(text):
        assert 0 < len(text) <= 15
        assert not set(text) & set('/"{};,% \n\t')
        assert text not in (".", "..")


def test_names_of_interfaces() -> None:
    assert options.interfaces({options.TRUSTED: "eth1:eth2.10::"}, options.TRUSTED) == ("eth1", "eth2.10")
    assert options.interface({}, options.BRIDGE_NAME) == ""
    for text in ("a/b", "..", "a" * 16, 'a" }'):
        with pytest.raises(InvalidArgument, match="is not the name of an interface"):
            options.interface({options.BRIDGE_NAME: text}, options.BRIDGE_NAME)
