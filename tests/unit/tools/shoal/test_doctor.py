import os
import subprocess
import sys

from tests.support.fake_engine import CHECKOUT
from tools.doctor.findings import ok, wrong
from tools.shoal.doctor import report


def test_the_remedy_stands_below_what_is_wrong():
    lines = report([ok("kernel", "6.1"), wrong("nftables", "no library", "apt-get install libnftables1")]).splitlines()
    assert lines[0].split() == ["ok", "kernel", "6.1"]
    assert lines[1].split()[:2] == ["WRONG", "nftables"]
    assert lines[2].strip() == "-> apt-get install libnftables1"


def test_something_essential_missing_is_exit_code_1(tmp_path):
    (tmp_path / "shoal.toml").touch()
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "SHOAL_CONFIG": str(tmp_path / "shoal.toml"),
        "SHOAL_RUNTIME_PREFIX": str(tmp_path / "nothing"),
        "SHOAL_STATE_DIR": str(tmp_path / "state"),
        "SHOAL_RUN_DIR": str(tmp_path / "run"),
    }
    command = [sys.executable, "-P", "-m", "tools.shoal", "doctor"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert "WRONG  crun" in done.stdout
    assert "deploy/up" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shoal.toml"]
