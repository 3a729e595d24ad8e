import os
from pathlib import Path

import pytest

from tests.support.process import carrying
from tools.bench.client import Api
from tools.bench.reference import CGROUPS, Dockerd, ReferenceEngine, ReferenceError, answers, end_all


def test_dockerd_starts_in_a_place_of_its_own_and_leaves_nothing() -> None:
    with Dockerd() as engine:
        assert answers(engine.socket)
        api = Api(str(engine.socket))
        assert api.json("GET", "/version")["ApiVersion"] == "1.41"
        api.close()
        assert os.readlink(engine.netns) != os.readlink("/proc/self/ns/net")
        pid = engine.pid
    assert not engine.root.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert not list(CGROUPS.glob(f"*/*{engine.id}*"))


def test_an_engine_that_does_not_start_shows_its_log() -> None:
    class Broken(ReferenceEngine):
        name = "broken"

        def command(self) -> list[str]:
            return ["sh", "-c", "echo the reason; exit 3"]

    engine = Broken()
    with pytest.raises(ReferenceError, match="the reason"):
        engine.start()
    assert not engine.root.exists()


def test_end_all_ends_what_carries_the_text() -> None:
    with carrying("97.5311") as process:
        end_all("97.5311")
        assert process.join(60) == -9


def test_nobody_answers_at_a_path_that_is_not_there(tmp_path: Path) -> None:
    assert not answers(tmp_path / "none")
