import subprocess
import sys


def test_a_tree_with_a_breach_fails_and_names_the_place(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/a.py").write_text("def work():\n    return 1\n")
    command = [sys.executable, "-m", "tools.rules", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("shared/a.py:1: has no test file")
    (tmp_path / "shared/a.py").write_text("A = 1\n")
    assert subprocess.run(command, check=False).returncode == 0
