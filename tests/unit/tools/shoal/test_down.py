from shared.config import Settings
from tests.support.answers import answering
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
        stop_containers(Settings(run_dir=str(tmp_path)))
    assert sorted(asked) == sorted(answers)
    assert asked[0] == "GET /containers/json"
