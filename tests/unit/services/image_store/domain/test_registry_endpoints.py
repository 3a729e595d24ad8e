from __future__ import annotations

import pytest

from services.image_store.domain.registry_endpoints import Endpoint, Registries, host_of
from shared.errors import InvalidArgument

SECURE = Registries((), ())


def test_docker_hub_and_its_mirrors() -> None:
    rules = Registries(("https://m.example/", "http://127.0.0.1:5000", "https://m.example"), ())
    hub = Endpoint("https://registry-1.docker.io")
    assert rules.endpoints("docker.io", (), mirrors=True) == (
        Endpoint("https://m.example", True, True),
        Endpoint("http://127.0.0.1:5000", False, True),
        hub,
    )
    assert rules.endpoints("docker.io", (), mirrors=False) == (hub,)
    assert rules.endpoints("quay.io", ("1.2.3.4",), mirrors=True) == (Endpoint("https://quay.io"),)


def test_this_machine_needs_no_tls() -> None:
    expected = (Endpoint("https://localhost:5000", False), Endpoint("http://localhost:5000", False))
    assert SECURE.endpoints("localhost:5000", ("127.0.0.1",), mirrors=True) == expected
    assert not SECURE.is_secure("x", ("::1",))
    assert SECURE.is_secure("x", ("10.0.0.1", "nonsense"))


def test_insecure_by_name_and_by_network() -> None:
    rules = Registries((), ("r.example:5000", "10.0.0.0/8", "http://old.example"))
    assert not rules.is_secure("r.example:5000", ())
    assert rules.is_secure("r.example", ())
    assert not rules.is_secure("other:5000", ("10.1.1.1",))
    assert not rules.is_secure("old.example", ())
    assert not rules.needs_addresses("r.example:5000")
    assert rules.needs_addresses("other")
    assert not rules.needs_addresses("docker.io")


@pytest.mark.parametrize(
    "mirror", ["m.example", "ftp://m", "https://", "https://m/?a", "https://m/#b", "https://u:secret@m/"]
)
def test_wrong_mirrors(mirror: str) -> None:
    with pytest.raises(InvalidArgument, match="registry_mirrors") as caught:
        Registries((mirror,), ())
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("host", ["ftp://x", "-x", "x-"])
def test_wrong_insecure_registries(host: str) -> None:
    with pytest.raises(InvalidArgument, match="insecure_registries"):
        Registries((), (host,))


def test_hosts() -> None:
    assert [host_of(each) for each in ("a:5", "a", "[::1]:5")] == ["a", "a", "::1"]
    assert Endpoint("https://a:5/mirror").host == "a:5"
