import subprocess
import sys


def test_checking_an_empty_prefix_names_every_missing_part_and_fails(tmp_path):
    command = [sys.executable, "-m", "tools.toolchain", "--check", "--prefix", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["crun", "conmon", "criu"]
    assert not (tmp_path / "none").exists()
