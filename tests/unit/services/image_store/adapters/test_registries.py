from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.image_store.adapters.registries import HttpRegistry
from shared.config import Settings
from shared.contracts.image_store import Credentials
from shared.errors import InvalidArgument
from tests.support.certificates import Authority
from tests.support.fake_registry import FakeRegistry

USER = Credentials(username="u", password="p")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(registry_certs_dir=str(tmp_path), registry_timeout=5)


@pytest.fixture
async def registry(settings: Settings) -> AsyncIterator[HttpRegistry]:
    made = HttpRegistry(settings)
    yield made
    await made.close()


async def test_a_registry_on_this_machine_with_tls_and_without(registry: HttpRegistry, tmp_path: Path) -> None:
    for tls in (None, Authority(tmp_path).server()):
        async with FakeRegistry().served(tls) as fake:
            found = await registry.repositories(fake.name, "a", USER)
            assert [each.url for each in found] == [f"https://{fake.name}", f"http://{fake.name}"]
            speaks = found[0] if tls else found[1]
            assert await speaks.tags() == ()


async def test_certificates_of_one_registry(settings: Settings, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with FakeRegistry().served(authority.server()) as fake:
        mirrors = msgspec.structs.replace(settings, registry_mirrors=(f"https://r.invalid:{fake.port}",))
        registry = HttpRegistry(mirrors)
        (tmp_path / f"r.invalid:{fake.port}").mkdir()
        (tmp_path / f"r.invalid:{fake.port}" / "ca.crt").write_text(authority.pem)
        mirror, hub = await registry.repositories("docker.io", "library/a", USER)
        assert mirror._trust.authorities == (authority.pem,)
        assert hub._trust.authorities == ()
        await registry.close()


async def test_a_mirror_learns_no_password(settings: Settings) -> None:
    registry = HttpRegistry(msgspec.structs.replace(settings, registry_mirrors=("http://127.0.0.1:5",)))
    mirror, hub = await registry.repositories("docker.io", "library/a", USER)
    assert (mirror.is_mirror, mirror._login, hub._login) == (True, Credentials(), USER)
    (pushed,) = await registry.repositories("docker.io", "library/a", USER, ("pull", "push"))
    assert pushed.url == "https://registry-1.docker.io"
    await registry.close()


async def test_hosts_without_addresses_are_secure(registry: HttpRegistry) -> None:
    assert [each.url for each in await registry.repositories("nowhere.invalid", "a", USER)] == [
        "https://nowhere.invalid"
    ]
    assert [each.url for each in await registry.repositories("..", "a", USER)] == ["https://.."]


def test_settings_that_make_no_sense(settings: Settings) -> None:
    with pytest.raises(InvalidArgument):
        HttpRegistry(msgspec.structs.replace(settings, registry_mirrors=("x",)))
