from __future__ import annotations

from pathlib import Path
from urllib.request import urlopen

from tools.bench.registry import Registry


def test_it_answers_while_it_runs(tmp_path: Path) -> None:
    with Registry(tmp_path) as registry, urlopen(f"http://{registry.name}/v2/") as answer:
        assert answer.status == 200


def test_programs_run_beside_it(tmp_path: Path) -> None:
    assert Registry(tmp_path).run("echo", "a") == "a\n"
