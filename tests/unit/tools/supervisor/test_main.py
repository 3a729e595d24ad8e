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


WARM = """
import sys
from tools.supervisor import __main__ as main
main._warm()
heavy = {"aiohttp", "docker", "google", "hypothesis", "pyroute2", "requests", "rich", "typer", "urllib3", "yarl"}
print(sorted(heavy & set(sys.modules)), len(sys.modules) < 1000, "services.executor.service" in sys.modules)
"""


def test_the_warm_parent_imports_the_services_and_no_heavy_package():
    done = subprocess.run([sys.executable, "-c", WARM], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "[] True True\n", done.stderr
