"""DNS messages."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.network.domain import dns
from services.network.domain.addresses import Address

LABELS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=63)
NAMES = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
ADDRESSES: list[Address] = [ipaddress.IPv4Address(f"10.0.0.{number}") for number in range(1, 60)]
BOTH: list[Address] = [ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("fd00::1")]


def ask(name: str, kind: int = dns.A, identity: int = 7, flags: int = 0x0100) -> bytes:
    return struct.pack("!HHHHHH", identity, flags, 1, 0, 0, 0) + dns.encode_name(name) + struct.pack("!HH", kind, 1)


@given(NAMES, st.integers(0, 65535), st.sampled_from([dns.A, dns.AAAA, dns.PTR, 15]))
def test_a_question_is_read_as_asked(name: str, identity: int, kind: int) -> None:
    query = dns.parse(ask(name.upper(), kind, identity))
    assert (query.id, query.name, query.kind) == (identity, name, kind)


@given(st.binary(max_size=80))
def test_whatever_comes_is_a_question_or_refused(message: bytes) -> None:
    try:
        query = dns.parse(message)
    except ValueError:
        assert len(dns.malformed(message)) in (0, 12)
    else:
        assert dns.refuse(query, dns.SERVFAIL)[:2] == message[:2]


@given(NAMES, st.integers(0, 40))
def test_a_question_cut_short_is_refused(name: str, cut: int) -> None:
    message = ask(name)
    with pytest.raises(ValueError, match=r"short|header|question|long"):
        dns.parse(message[: max(len(message) - 1 - cut, 0)])


def header(message: bytes) -> tuple[int, int, int, int]:
    identity, flags, questions, answers, _, _ = struct.unpack_from("!HHHHHH", message)
    return identity, flags, questions, answers


def test_addresses_are_answered() -> None:
    reply = dns.answer_addresses(dns.parse(ask("web")), ADDRESSES[:2])
    assert header(reply) == (7, 0x8180, 1, 2)
    record = b"\xc0\x0c" + struct.pack("!HHIH", dns.A, 1, 600, 4)
    assert reply.endswith(record + ADDRESSES[0].packed + record + ADDRESSES[1].packed)


def test_a_known_name_has_no_address_of_another_family() -> None:
    assert header(dns.answer_addresses(dns.parse(ask("web", dns.AAAA)), ADDRESSES[:1])) == (7, 0x8180, 1, 0)


def test_what_does_not_fit_is_told() -> None:
    query = dns.parse(ask("web"))
    short = dns.answer_addresses(query, ADDRESSES)
    assert len(short) <= dns.LARGEST_UDP
    assert header(short)[1] & 0x0200
    whole = dns.answer_addresses(query, ADDRESSES, 65535)
    assert header(whole)[3] == len(ADDRESSES)


def test_each_family_is_answered_for_itself() -> None:
    four, six = (dns.answer_addresses(dns.parse(ask("web", kind)), BOTH) for kind in (dns.A, dns.AAAA))
    assert (header(four)[3], header(six)[3]) == (1, 1)
    assert four.endswith(struct.pack("!HHIH", dns.A, 1, 600, 4) + BOTH[0].packed)
    assert six.endswith(struct.pack("!HHIH", dns.AAAA, 1, 600, 16) + BOTH[1].packed)
    assert header(dns.answer_addresses(dns.parse(ask("web", dns.ANY)), BOTH))[3] == 2


def extended(message: bytes, size: int) -> bytes:
    """The question with an OPT record."""
    return message[:10] + b"\0\1" + message[12:] + struct.pack("!BHHIH", 0, dns.OPT, size, 0, 0)


@pytest.mark.parametrize(("size", "largest"), [(4096, 4096), (1232, 1232), (100, 512)])
def test_a_client_says_how_much_it_takes(size: int, largest: int) -> None:
    query = dns.parse(extended(ask("web"), size))
    assert (query.largest, query.extended) == (largest, True)
    reply = dns.answer_addresses(query, ADDRESSES, query.largest)
    assert len(reply) <= largest
    assert (header(reply)[3] == len(ADDRESSES)) == (largest > 1000)
    assert reply.endswith(struct.pack("!BHHIH", 0, dns.OPT, 4096, 0, 0))
    assert reply[10:12] == b"\0\1"


@given(NAMES, st.binary(max_size=20))
def test_whatever_follows_a_question_it_is_read(name: str, rest: bytes) -> None:
    message = ask(name)
    query = dns.parse(message[:10] + b"\0\1" + message[12:] + rest)
    assert query.name == name
    assert query.largest >= dns.LARGEST_UDP


@given(st.ip_addresses())
def test_every_address_can_be_asked_about(address: Address) -> None:
    assert dns.pointed_at(address.reverse_pointer) == address


@pytest.mark.parametrize(
    "name", ["1.0.ip6.arpa", "g" + ".0" * 31 + ".ip6.arpa", "in-addr.arpa", "ip6.arpa", "00" + ".0" * 31]
)
def test_what_is_no_address_backwards(name: str) -> None:
    assert dns.pointed_at(name) is None


def test_pointers() -> None:
    assert dns.pointed_at("2.0.17.172.in-addr.arpa") == ipaddress.IPv4Address("172.17.0.2")
    assert dns.pointed_at("x.0.17.172.in-addr.arpa") is None
    assert dns.pointed_at("web") is None
    reply = dns.answer_pointer(dns.parse(ask("2.0.17.172.in-addr.arpa", dns.PTR)), "shop.web")
    assert reply.endswith(b"\4shop\3web\0")


@pytest.mark.parametrize("name", ["a" * 64, "a..b", ""])
def test_what_dns_cannot_carry(name: str) -> None:
    with pytest.raises(ValueError, match="not a DNS name"):
        dns.encode_name(name)


def test_names_that_dns_can_carry() -> None:
    assert dns.is_name("shop.web")
    assert not dns.is_name("")
    assert not dns.is_name("a" * 64 + ".web")
    assert not dns.is_name(".".join(["abcdefg"] * 40))


def test_refusals_carry_their_code() -> None:
    assert header(dns.refuse(dns.parse(ask("web")), dns.NXDOMAIN)) == (7, 0x8183, 1, 0)
    assert dns.malformed(b"x" * 12)[:2] == b"xx"
    assert dns.malformed(ask("web", flags=0x8000)) == b""
