from pathlib import Path

import pytest

from tools.bench.engine import Engine
from tools.bench.processes import ProcessSet


def test_only_unix_addresses(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tcp://"):
        Engine("x", "tcp://127.0.0.1:1")


def test_an_engine_that_is_gone_is_closed_without_calls(tmp_path: Path) -> None:
    engine = Engine("x", f"unix://{tmp_path}/gone", ProcessSet())
    engine.close()
    assert engine.population == []
