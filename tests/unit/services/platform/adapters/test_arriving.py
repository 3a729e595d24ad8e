"""One arrival: what is kept of it, and what is mounted for it. Its making is tested where it comes to life."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from services.platform.adapters.arriving import ARRIVAL, Arrival, Record
from services.platform.adapters.movers import Mover
from services.platform.domain.moving import External, Manifest
from shared.contracts.common import Mount
from shared.errors import FailedPrecondition
from tests.support.moving_hosts import COUNT, Pair


def test_what_is_kept_is_found_again(tmp_path: Path) -> None:
    assert Record.read(tmp_path) is None
    mounts = (Mount(type="overlay", source="o"),)
    record = Record(rootfs=mounts, cgroup="/x", log_path="/l", limits={"cpu": {"shares": 7}})
    record.write(tmp_path)
    assert Record.read(tmp_path) == record
    (tmp_path / ARRIVAL).write_text("{")
    assert Record.read(tmp_path) is None


async def test_what_has_no_source_here_is_refused(pair: Pair, tmp_path: Path) -> None:
    maker = pair.b.linux.arrivals._maker
    record = Record(rootfs=(), cgroup="/x", log_path="")
    arrival = Arrival("name", tmp_path, tmp_path, record, Mover(0, 0, tmp_path))
    (tmp_path / "config.json").write_bytes(msgspec.json.encode({"mounts": []}))
    maker.root("name").mkdir()
    with pytest.raises(FailedPrecondition, match="nothing is here for /data"):
        maker.sources(arrival, Manifest(external=(External("/data", "bind"),)))
    assert maker.sources(arrival, Manifest(external=(External("/proc/keys", "mask", folder=False),))) == {
        "/proc/keys": "/dev/null"
    }
    shutil.rmtree(maker.root("name"))
    arrival.close()


async def test_the_runtime_s_state_is_the_one_of_here(pair: Pair) -> None:
    request = await pair.started(*COUNT)
    reply = await pair.moved(request)
    state = pair.b.linux.runtimes.get("crun").state / request.id
    status = msgspec.json.decode((state / "status").read_bytes())
    assert status["pid"] == reply.pid
    assert status["rootfs"] == str(pair.b.linux.creator.root(request.id))
    assert (state / "seccomp.bpf").stat().st_size > 0
    assert pair.b.linux.runtimes.get("crun").has_own_layout(request.id)
