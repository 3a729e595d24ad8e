import json
import socket
import subprocess

import pytest

from shared.config import Settings
from tools.supervisor import broker


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "log").mkdir()
    return Settings(state_dir=str(tmp_path))


def test_the_server_is_new_enough():
    assert broker.server_version(broker.program()) >= broker.MINIMUM
    assert broker.server_version("/nonexistent") == ()


def test_the_port_is_kept_for_the_next_start(settings):
    port = broker.choose_port(settings)
    assert broker.choose_port(settings) == port
    assert (settings.state_path / "broker/port").read_text() == f"{port}\n"


def test_a_port_that_somebody_took_is_replaced(settings):
    port = broker.choose_port(settings)
    with socket.create_server(("127.0.0.1", port)):
        assert broker.accepts(port)
        assert broker.choose_port(settings) != port
    assert not broker.accepts(port)


def test_a_port_that_was_set_is_taken(settings):
    with_port = Settings(state_dir=settings.state_dir, nats_port=4999)
    assert broker.choose_port(with_port) == 4999


def test_the_server_accepts_the_configuration_which_only_root_reads(settings):
    users = [{"nkey": "UBOHV4UQB6G5N4V2KKAVQMUWRX5XZ6RWOV5RA3OURK4BMAD377HA7WK6", "permissions": {"publish": ["a.>"]}}]
    path = broker.write_configuration(settings, 4999, users)
    assert path.stat().st_mode & 0o7777 == 0o600
    done = subprocess.run([broker.program(), "-t", "--config", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_acknowledged_is_on_disk_and_nobody_is_anonymous(settings):
    made = json.loads(broker.write_configuration(settings, 4999, []).read_text())
    assert made["jetstream"]["sync_interval"] == "always"
    assert made["listen"].startswith("127.0.0.1:")
    assert made["authorization"]["users"] == []
