import socket
import stat
from ipaddress import IPv4Network

import pytest

from shared.config import Settings
from tools.doctor import addresses
from tools.doctor.findings import Level

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def test_routes_are_read_without_the_default_one():
    assert addresses.parse_routes(ROUTES) == [
        ("eth0", IPv4Network("192.168.0.0/24")),
        ("docker0", IPv4Network("172.17.0.0/16")),
    ]


@pytest.mark.parametrize(
    ("subnet", "bridge", "level"),
    [
        ("172.17.0.1/16", "shoal0", Level.WRONG),
        ("172.17.0.1/16", "docker0", Level.OK),
        ("172.17.5.1/24", "shoal0", Level.WRONG),
        ("10.1.0.1/16", "shoal0", Level.OK),
    ],
)
def test_a_subnet_that_is_reached_elsewhere_is_wrong(subnet, bridge, level):
    assert addresses.judge_subnet(subnet, bridge, addresses.parse_routes(ROUTES)).level is level


def test_names_and_ports():
    assert addresses.judge_bridge("shoal0", "").level is Level.OK
    assert addresses.judge_bridge("lo", "other").level is Level.WRONG
    assert addresses.judge_port(4222, taken=True, by_us=False).level is Level.WRONG
    assert addresses.judge_port(4222, taken=True, by_us=True).level is Level.OK


@pytest.mark.parametrize(
    ("mode", "level"),
    [
        (stat.S_IFSOCK | 0o660, Level.OK),
        (stat.S_IFSOCK | 0o666, Level.WARNING),
        (stat.S_IFREG | 0o660, Level.WRONG),
    ],
)
def test_socket_modes(mode, level):
    assert addresses.judge_socket("/run/x.sock", mode).level is level


def test_everything_that_is_set_is_looked_at(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = Settings(
            run_dir=str(tmp_path),
            state_dir=str(tmp_path),
            bridge_name="lo",
            bridge_subnet="203.0.113.1/24",
            nats_port=other.getsockname()[1],
        )
        (tmp_path / "docker.sock").touch()
        found = {finding.subject: finding.level for finding in addresses.check(settings)}
    assert found == {
        "bridge": Level.WRONG,
        "bridge subnet": Level.OK,
        "broker port": Level.WRONG,
        "socket": Level.WRONG,
    }
