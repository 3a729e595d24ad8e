"""Who serves the network contract."""

from __future__ import annotations

import secrets

import pytest

from services.network.adapters.firewall import Firewall
from services.network.adapters.links import HostLinks
from shared.config import Settings
from shared.contracts import network
from tests.support.parties import Suite
from tests.support.simulators.host.network import NetworkSimulator
from tools.bench.reference import end_all


def sweep(settings: Settings) -> None:
    """Removes bridges, rules and proxy, which a stopped engine leaves to its containers."""
    end_all(str(settings.run_path / "network"))
    links = HostLinks()
    for name in links.names():
        if name == settings.bridge_name or name.startswith(f"{settings.interface_prefix}-"):
            links.remove(name)
    links.close()
    firewall = Firewall(settings.nft_table)
    firewall.remove()
    firewall.close()


@pytest.fixture(scope="session")
def suite() -> Suite:
    mark = secrets.token_hex(2)
    settings = {"bridge_name": f"shlt{mark}", "interface_prefix": f"t{mark[:3]}", "nft_table": f"shoal-test-{mark}"}
    return Suite(network.CONTRACT, simulator=lambda kernel: NetworkSimulator(), settings=settings, sweep=sweep)
