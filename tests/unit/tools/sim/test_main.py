import pytest

from tools.sim.__main__ import main


def test_one_cluster_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(hosts=20, containers=40, placements=5, seed=1)
    assert capsys.readouterr().out.splitlines()[-1].startswith("| 20 | 40 |")
