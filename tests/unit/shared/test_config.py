from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import config
from shared.config import AddressPool, Settings
from shared.errors import InvalidArgument


def load(tmp_path: Path, text: str = "", **environment: str) -> Settings:
    file = tmp_path / "shoal.toml"
    file.write_text(text)
    return config.load(file, environment)


def test_the_defaults_are_the_documented_ones(tmp_path):
    settings = load(tmp_path)
    assert settings == Settings()
    assert (settings.state_path, settings.socket_path) == (Path("/var/lib/shoal"), Path("/run/shoal/docker.sock"))


def test_the_environment_goes_over_the_file_and_the_file_over_the_defaults(tmp_path):
    settings = load(
        tmp_path,
        'run_dir = "/run/file"\nnats_port = 4000\nhosts = ["tcp://127.0.0.1:2375"]\n',
        SHOAL_NATS_PORT="5000",
        SHOAL_LABELS='{"a":"b"}',
        SHOAL_ADDRESS_POOLS='[{"base":"10.0.0.0/8","size":24}]',
        SHOAL_UNKNOWN="ignored",
    )
    assert (settings.run_dir, settings.nats_port, settings.labels) == ("/run/file", 5000, {"a": "b"})
    assert settings.hosts == ("tcp://127.0.0.1:2375",)
    assert settings.address_pools == (AddressPool(base="10.0.0.0/8", size=24),)
    assert settings.socket_path == Path("/run/file/docker.sock")


def test_a_file_can_be_named_by_the_environment(tmp_path):
    (tmp_path / "x.toml").write_text('bridge_name = "br9"')
    assert config.load(environment={"SHOAL_CONFIG": str(tmp_path / "x.toml")}).bridge_name == "br9"


def test_a_file_that_was_named_must_exist_and_the_default_need_not(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "DEFAULT_FILE", tmp_path / "none.toml")
    assert config.load(environment={}) == Settings()
    with pytest.raises(InvalidArgument, match=r"none\.toml does not exist"):
        config.load(tmp_path / "none.toml", {})


@pytest.mark.parametrize(
    ("text", "environment", "named"),
    [
        ("no_such_setting = 1", {}, "no_such_setting"),
        ("nats_port = 'high'", {}, "nats_port"),
        ("this is no toml", {}, "shoal.toml"),
        ("", {"SHOAL_HOSTS": "tcp://x"}, "SHOAL_HOSTS"),
        ("", {"SHOAL_HOSTS": "7"}, "hosts"),
        ("", {"SHOAL_HOSTS": "\udcff"}, "SHOAL_HOSTS"),
        ("", {"SHOAL_ADDRESS_POOLS": '[{"base":"10.0.0.0/8"}]'}, "address_pools"),
        ("", {"SHOAL_NATS_PORT": "many"}, "nats_port"),
        ("", {"SHOAL_NATS_PORT": "70000"}, "nats_port"),
        ("", {"SHOAL_STATE_DIR": "relative"}, "state_dir"),
        ("", {"SHOAL_RUN_DIR": ""}, "run_dir"),
        ("", {"SHOAL_INTERFACE_PREFIX": "toolong"}, "interface_prefix"),
        ("", {"SHOAL_INTERFACE_PREFIX": ""}, "interface_prefix"),
        ("", {"SHOAL_BRIDGE_NAME": "a" * 16}, "bridge_name"),
        ("", {"SHOAL_BRIDGE_NAME": ""}, "bridge_name"),
        ("", {"SHOAL_MAX_BODY_BYTES": "-1"}, "max_body_bytes"),
        ("", {"SHOAL_LOG_LEVEL": "loud"}, "log_level"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, environment, named):
    with pytest.raises(InvalidArgument, match=named):
        load(tmp_path, text, **environment)


@given(st.binary(max_size=200))
def test_any_file_gives_settings_or_a_complaint(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("config") / "shoal.toml"
    file.write_bytes(content)
    try:
        settings: Settings | None = config.load(file, {})
    except InvalidArgument:
        settings = None
    assert settings is None or isinstance(settings, Settings)


def test_the_name_of_the_host_is_the_nodes_unless_it_is_set():
    assert Settings().node
    assert Settings(node_name="one").node == "one"


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InvalidArgument, match=f"configuration file {tmp_path}"):
        config.load(tmp_path, {})


def test_a_file_named_in_the_call_goes_before_all_others(tmp_path, monkeypatch):
    files = {name: tmp_path / name for name in ("default", "environment", "call")}
    for name, path in files.items():
        path.write_text(f'nft_table = "{name}"')
    monkeypatch.setattr(config, "DEFAULT_FILE", files["default"])
    environment = {"SHOAL_CONFIG": str(files["environment"])}
    assert config.load(files["call"], environment).nft_table == "call"
    assert config.load(None, environment).nft_table == "environment"
    assert config.load(None, {"SHOAL_CONFIG": ""}).nft_table == "default"


@given(st.dictionaries(st.text(), st.text()), st.lists(st.text()), st.integers(0, 65535), st.text())
def test_every_kind_of_setting_survives_the_environment(labels, hosts, port, name):
    environment = {
        "SHOAL_LABELS": msgspec.json.encode(labels).decode(),
        "SHOAL_HOSTS": msgspec.json.encode(hosts).decode(),
        "SHOAL_NATS_PORT": str(port),
        "SHOAL_NODE_NAME": name,
    }
    settings = config.load(Path("/dev/null"), environment)
    assert settings == Settings(labels=labels, hosts=tuple(hosts), nats_port=port, node_name=name)
