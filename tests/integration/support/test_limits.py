"""What hangs ends: runs of pytest whose tests wait for ever in the body and then again on their way out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CONFTEST = """
import uvloop

from tests.support import limits

limits.EXIT_SECONDS = 1.0

def pytest_configure(config):
    config.pluginmanager.register(limits.Limits(), "limits")

def pytest_asyncio_loop_factories(config, item):
    return {"uvloop": uvloop.new_event_loop}
"""
TESTS = """
import asyncio
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest


def test_a_client_that_stays():
    with subprocess.Popen(["sleep", "1000"]) as client:
        client.wait()

def test_a_worker_whose_program_stays():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(subprocess.run, ["sleep", "1000"]).result()

async def test_a_coroutine_that_stays():
    await asyncio.Event().wait()

@pytest.fixture
def stays():
    yield
    threading.Event().wait()

def test_a_fixture_that_stays_after_a_failure(stays):
    assert False

def test_the_next_one():
    assert True
"""
STUCK = """

def test_a_thread_that_nobody_ends():
    threading.Thread(target=threading.Event().wait).start()
    assert True
"""


def run(folder: Path, tests: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(tests)
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
        "-o",
        "timeout=1",
        "-o",
        "asyncio_mode=auto",
        "-c",
        "/dev/null",
        "--rootdir",
        ".",
    ]
    command = [sys.executable, "-P", "-m", "pytest", *options, "test_it.py"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=90)


def test_a_test_that_hangs_ends_with_all_it_waits_for_and_the_next_one_runs(directory: Path) -> None:
    done = run(directory, TESTS)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "4 failed, 1 passed, 1 error" in done.stdout, done.stdout + done.stderr


def test_a_run_whose_threads_hang_ends(directory: Path) -> None:
    done = run(directory, TESTS + STUCK)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the run does not end" in done.stderr
