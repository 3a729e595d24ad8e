"""The files that containers get."""

from __future__ import annotations

import pytest

from services.network.domain import files
from shared.errors import InvalidArgument

HOST = "# made by hand\nnameserver 10.0.0.53\nsearch example.org lab\noptions rotate\n"


def test_the_hosts_file_is_dockers() -> None:
    assert files.hosts([("1.2.3.4", "foo")], ["172.31.77.2"], "hh.dd.ee hh") == (
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\n"
        "ff00::0\tip6-mcastprefix\n"
        "ff02::1\tip6-allnodes\n"
        "ff02::2\tip6-allrouters\n"
        "1.2.3.4\tfoo\n"
        "172.31.77.2\thh.dd.ee hh\n"
    )


def test_own_names_with_and_without_domain() -> None:
    assert files.own_names("web", "") == "web"
    assert files.own_names("web", "example.org") == "web.example.org web"


@pytest.mark.parametrize(
    ("hostname", "domainname", "line"),
    [
        ("web", "", "web"),
        ("web.example.org", "", "web.example.org web"),
        ("web", "example.org", "web.example.org web"),
        ("web.example", "org", "web.example.org web"),
    ],
)
def test_the_hosts_file_tells_the_full_and_the_bare_name(hostname: str, domainname: str, line: str) -> None:
    names = files.own_names(hostname, domainname)
    assert files.hosts([], ["172.31.77.2"], names).endswith(f"\n172.31.77.2\t{line}\n")


def test_extra_hosts_know_the_host() -> None:
    wanted = ["foo:1.2.3.4", "gw:host-gateway", "six:::1", "six2:[fe80::1]"]
    assert files.extra_records(wanted, ["172.17.0.1", "fd00::1"]) == [
        ("1.2.3.4", "foo"),
        ("172.17.0.1", "gw"),
        ("fd00::1", "gw"),
        ("::1", "six"),
        ("fe80::1", "six2"),
    ]


@pytest.mark.parametrize(
    "entry",
    [
        "foo",
        ":1.2.3.4",
        "foo:",
        "foo:nonsense",
        "foo:1.2.3.4\n5.6.7.8 evil",
        "a\n1.1.1.1 b:2.2.2.2",
        "a b:1.1.1.1",
        "a:fe80::1%x\n1.1.1.1 b",
    ],
)
def test_bad_extra_hosts_are_refused(entry: str) -> None:
    with pytest.raises(InvalidArgument, match="add-host"):
        files.extra_records([entry], ["172.17.0.1"])


def test_without_wishes_the_hosts_resolver_file_is_kept() -> None:
    assert files.resolv_conf(HOST) == HOST


def test_nameservers_out_of_reach_are_left_out() -> None:
    host = "nameserver 127.0.0.53\nnameserver 9.9.9.9\nnameserver ::1\nnameserver fe80::1%eth0\nsearch x\n"
    assert files.resolv_conf(host) == "nameserver 9.9.9.9\nsearch x\n"


def test_without_any_reachable_nameserver_there_are_dockers_own() -> None:
    assert files.resolv_conf("nameserver 127.0.0.1\n") == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
    assert files.resolv_conf("") == "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
    assert files.resolv_conf("nameserver\n", search=["a"]) == "search a\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n"


def test_the_host_modes_file_is_a_copy() -> None:
    assert files.resolv_conf("nameserver 127.0.0.53\n", filtered=False) == "nameserver 127.0.0.53\n"


def test_wishes_replace_and_the_rest_is_the_hosts() -> None:
    assert files.resolv_conf(HOST, ["1.1.1.1"], ["aa.bb"], ["ndots:3"]) == (
        "search aa.bb\nnameserver 1.1.1.1\noptions ndots:3\n"
    )
    assert files.resolv_conf(HOST, ["1.1.1.1"]) == ("search example.org lab\nnameserver 1.1.1.1\noptions rotate\n")
    assert files.resolv_conf(HOST, search=["."]) == "nameserver 10.0.0.53\noptions rotate\n"


def test_a_nameserver_is_an_address() -> None:
    with pytest.raises(InvalidArgument, match=r"dns\.example is not an ip address"):
        files.resolv_conf(HOST, ["dns.example"])


def test_records_are_put_at_the_end_of_a_copy() -> None:
    assert files.append_records("127.0.0.1 localhost", [("1.2.3.4", "foo")]) == "127.0.0.1 localhost\n1.2.3.4\tfoo\n"
    assert files.append_records("", []) == ""


def test_the_embedded_dns_replaces_the_nameservers_only() -> None:
    assert files.embedded_resolv_conf(HOST) == (
        "search example.org lab\nnameserver 127.0.0.11\noptions rotate ndots:0\n"
    )
    assert files.embedded_resolv_conf("", ["1.1.1.1"], ["."], ["ndots:2"]) == (
        "nameserver 127.0.0.11\noptions ndots:2\n"
    )
    with pytest.raises(InvalidArgument, match="x is not an ip address"):
        files.embedded_resolv_conf("", ["x"])


def test_lines_of_an_address_can_be_taken_out() -> None:
    content = "127.0.0.1\tlocalhost\n10.0.0.2\tweb\n10.0.0.22 other\n\n"
    assert files.without_address(content, "10.0.0.2") == "127.0.0.1\tlocalhost\n10.0.0.22 other\n\n"


def test_who_chose_how_many_dots_a_name_has() -> None:
    assert files.sets_ndots("options rotate ndots:2\n")
    assert files.sets_ndots("", ["ndots:1"])
    assert not files.sets_ndots("options ndots:2\noptions rotate\n")
    assert not files.sets_ndots("options ndots:2\n", ["rotate"])


@pytest.mark.parametrize("address", ["fe80::1%eth0", "9.9.9.9", "::1"])
def test_nameservers_may_have_a_zone(address: str) -> None:
    assert f"nameserver {address}\n" in files.resolv_conf("", [address])
    with pytest.raises(InvalidArgument, match="is not an ip address"):
        files.resolv_conf("", [f"{address}%x\nnameserver 1.1.1.1"])


def test_lines_of_a_linked_container_change_in_their_place() -> None:
    content = "1.1.1.1\tdb old\n2.2.2.2\tweb\nfd00::1\tdb old\n3.3.3.3 other db\n"
    assert files.relinked(content, "db", [("4.4.4.4", "db new")]) == "4.4.4.4\tdb new\n2.2.2.2\tweb\n3.3.3.3 other db\n"
    assert files.relinked(content, "nobody", [("4.4.4.4", "nobody")]) == content
