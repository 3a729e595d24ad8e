import os
import subprocess
import sys


def test_bad_settings_end_the_start_with_their_name(tmp_path):
    environment = {**os.environ, "SHOAL_STATE_DIR": "relative", "SHOAL_RUN_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "tools.supervisor"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "state_dir must be an absolute path" in done.stderr
    assert "Traceback" not in done.stderr
