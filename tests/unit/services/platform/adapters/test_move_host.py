"""What a host says of itself before a move."""

from __future__ import annotations

from pathlib import Path

from services.platform.adapters import move_host
from services.platform.adapters.criu import Criu
from services.platform.domain import moving
from shared.config import Settings


def test_this_host(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path))
    here = move_host.read(settings, Criu(settings), "amd64", False)
    assert here.criu
    assert here.lazy_pages
    assert here.processor
    assert here.cgroup_version == "1"
    assert moving.host_reasons(here) == ["this host is in no cluster"]


def test_features_are_those_of_all_processors(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nflags\t\t: sse avx\n\nprocessor\t: 1\nflags\t\t: sse\n")
    assert move_host.processor(path) == ("sse",)
    path.write_text("Features\t: fp asimd\n")
    assert move_host.processor(path) == ("asimd", "fp")
    path.write_text("")
    assert move_host.processor(path) == ()


def test_memory_that_new_processes_can_have(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\nMemAvailable:   512 kB\n")
    assert move_host.memory_available(tmp_path / "meminfo") == 512 << 10
    (tmp_path / "meminfo").write_text("MemTotal:  9 kB\n")
    assert move_host.memory_available(tmp_path / "meminfo") == 0
