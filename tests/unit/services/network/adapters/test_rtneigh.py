import ipaddress
import struct

from services.network.adapters import rtneigh
from services.network.adapters.rtnetlink import attribute

MAC = "02:42:0a:00:01:02"
HOST, ADDRESS = ipaddress.ip_address("192.0.2.2"), ipaddress.ip_address("fd00::2")


def test_a_forwarding_entry_is_read_as_it_was_written() -> None:
    assert rtneigh.parse_forward(rtneigh.forward(7, MAC, HOST).body, 7) == (MAC, HOST)
    assert rtneigh.parse_forward(rtneigh.forward(7, MAC, HOST).body, 8) is None
    assert rtneigh.parse_forward(rtneigh.behind_port(7, MAC).body, 7) is None


def test_a_neighbour_is_read_as_it_was_written() -> None:
    assert rtneigh.parse_neighbour(rtneigh.neighbour(7, ADDRESS, MAC).body, 7) == (ADDRESS, MAC)
    assert rtneigh.parse_neighbour(rtneigh.neighbour(7, ADDRESS, MAC).body, 8) is None


def test_a_neighbour_that_the_kernel_found_is_none_of_ours() -> None:
    head = struct.pack("=BxHiHBB", 2, 0, 7, rtneigh.NUD_REACHABLE, 0, 0)
    body = head + attribute(rtneigh.NDA_DST, HOST.packed) + attribute(rtneigh.NDA_LLADDR, bytes(6))
    assert rtneigh.parse_neighbour(body, 7) is None


def test_what_is_taken_back_names_the_same() -> None:
    for made, taken in (
        (rtneigh.forward(7, MAC, HOST), rtneigh.forward_no_more(7, MAC)),
        (rtneigh.behind_port(7, MAC), rtneigh.behind_port_no_more(7, MAC)),
        (rtneigh.neighbour(7, ADDRESS, MAC), rtneigh.neighbour_no_more(7, ADDRESS)),
    ):
        assert (made.kind, taken.kind) == (rtneigh.RTM_NEWNEIGH, rtneigh.RTM_DELNEIGH)
        assert made.body[4:8] == taken.body[4:8]  # the interface
