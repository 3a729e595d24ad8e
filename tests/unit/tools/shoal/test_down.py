from urllib.parse import unquote_plus

import msgspec

from shared import cluster
from shared.config import Settings
from tests.support.answers import answering
from tools.shoal import api
from tools.shoal.down import stop_containers, stop_engine


def test_an_engine_that_does_not_run_needs_no_stopping(tmp_path):
    assert stop_engine(Settings(run_dir=str(tmp_path), state_dir=str(tmp_path)), 1) == []


def test_every_running_container_is_asked_to_stop(tmp_path):
    answers = {
        "GET /containers/json": (200, b'[{"Id": "a"}, {"Id": "b"}]'),
        "POST /containers/a/stop": (204, b""),
        "POST /containers/b/stop": (204, b""),
    }
    with answering(tmp_path / "docker.sock", answers) as asked:
        stop_containers(Settings(run_dir=str(tmp_path), state_dir=str(tmp_path)))
    assert sorted(asked) == sorted(answers)
    assert asked[0] == "GET /containers/json"


def test_containers_of_other_hosts_go_on(tmp_path, monkeypatch):
    (tmp_path / "node-id").write_text("this-host")
    membership = cluster.Membership(cluster="c", address="192.0.2.1:7377", hubs=("192.0.2.1:7377",))
    cluster.folder(tmp_path).mkdir()
    (cluster.folder(tmp_path) / "membership.json").write_bytes(msgspec.json.encode(membership))
    asked = []

    def call(path, method, target):
        asked.append((method, *target.split("?filters=")))
        return []

    monkeypatch.setattr(api, "call", call)
    stop_containers(Settings(run_dir=str(tmp_path), state_dir=str(tmp_path)))
    assert [(method, where, unquote_plus(filters)) for method, where, filters in asked] == [
        ("GET", "/containers/json", '{"node": ["this-host"]}')
    ]
