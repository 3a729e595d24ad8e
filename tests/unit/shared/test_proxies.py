from __future__ import annotations

import pytest

from shared.config import Settings
from shared.proxies import Proxies, from_environment, masked, put_into


def test_each_scheme_has_its_proxy() -> None:
    proxies = from_environment({"HTTP_PROXY": "http://p:1", "https_proxy": "q:2"})
    assert proxies.choose("http://example.com/v2/") == "http://p:1"
    assert proxies.choose("https://example.com/v2/") == "http://q:2"
    assert from_environment({}).choose("http://example.com/") == ""


@pytest.mark.parametrize(
    ("without", "reached_directly"),
    [
        ("", False),
        ("example.com", True),
        (".example.com", False),
        ("*.example.com", False),
        ("com", True),
        ("other.com, example.com", True),
        ("example.com:443", True),
        ("example.com:80", False),
        ("xample.com", False),
        ("*", True),
        ("10.0.0.0/8", False),
    ],
)
def test_hosts_without_a_proxy(without: str, reached_directly: bool) -> None:
    assert (Proxies("", "http://p:1", without).choose("https://example.com/") == "") is reached_directly


def test_parts_of_a_domain_and_networks() -> None:
    assert Proxies("p", "p", ".example.com").choose("https://a.example.com/") == ""
    assert Proxies("p", "p", "10.0.0.0/8").choose("https://10.1.2.3:5000/") == ""
    assert Proxies("p", "p", "::1:2/128").choose("https://[::1:2]/") == ""
    assert Proxies("p", "p", "10.0.0.0/8").choose("https://11.1.2.3:5000/") == "http://p"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "localhost.", "127.9.9.9"])
def test_this_machine_is_never_behind_a_proxy(host: str) -> None:
    assert Proxies("http://p:1", "http://p:1").choose(f"http://{host}:5000/") == ""


def test_settings_go_before_the_environment() -> None:
    environment = {"http_proxy": "http://other:1", "HTTPS_PROXY": "http://kept:1"}
    put_into(environment, Settings(http_proxy="http://p:1", no_proxy="example.com"))
    assert from_environment(environment) == Proxies("http://p:1", "http://kept:1", "example.com")
    assert environment["http_proxy"] == "http://p:1"  # whoever looks at small letters first


def test_who_looks_at_a_proxy_learns_no_password() -> None:
    assert masked("http://a:b@p:1/x") == "http://xxxxx:xxxxx@p:1/x"
    assert masked("http://p:1") == "http://p:1"
    assert masked("http://[") == "http://["
