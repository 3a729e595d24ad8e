"""An engine whose image store is another implementation of the contract (tests/foreign/image_store)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.support import parties
from tests.support.engine import Engine
from tests.support.process import Process
from tests.support.shoal import Shoal
from tools import images
from tools.images import docker_archive, entry, tar

Start = Callable[[], Process]
pytestmark = pytest.mark.shoal_only


@pytest.fixture
def replaced() -> Iterator[tuple[Engine, Start]]:
    """An engine with a container from before; ours is gone, the other one can be started."""
    with Shoal() as shoal:
        engine = Engine(shoal.host, shoal.netns)
        engine.load_busybox()
        assert engine.docker("run", "-d", "--name", "before", "busybox", "sleep", "inf").code == 0
        shoal.down()
        shoal.settings["SHOAL_REPLACED"] = '["image_store"]'
        shoal.up()
        assert "image_store" not in [each.name for each in shoal.processes()]
        command = ["nsenter", f"--net={shoal.netns}", str(parties.replacement("image_store"))]
        with ExitStack() as stack:

            def start() -> Process:
                process = Process(command, "serves on node", {**os.environ, **shoal.settings})
                stack.callback(process.close)
                process.wait()
                return process

            yield engine, start


def test_images_and_containers_of_another_image_store(replaced: tuple[Engine, Start]) -> None:
    engine, start = replaced
    process = start()
    layer = tar([entry("note", b"of the second layer\n"), entry("etc/.wh.group")])
    image = images.Image((images.busybox_layer(), layer), {"Cmd": ["cat", "/note"]}, ("two:1",))
    loaded = engine.docker("load", input=docker_archive(image, "gzip"))
    assert loaded.out == "Loaded image: two:1\n", loaded.err + process.log
    run = engine.docker("run", "--rm", "two:1")
    assert (run.code, run.out) == (0, "of the second layer\n"), run.err + process.log
    script = "ls /etc/group; rm /note; mkdir /new; echo x >/new/x"
    made = engine.docker("run", "--name", "made", "two:1", "sh", "-c", script)
    assert "No such file" in made.err
    assert set(engine.docker("diff", "made").out.splitlines()) >= {"D /note", "A /new", "A /new/x"}
    assert engine.docker("commit", "made", "three").code == 0
    assert engine.docker("run", "--rm", "three", "sh", "-c", "cat /new/x; ls /note").out == "x\n"
    assert engine.docker("exec", "before", "echo", "still there").out == "still there\n"
    process.kill()
    start()
    assert engine.docker("run", "--rm", "two:1").out == "of the second layer\n"
    assert engine.docker("rm", "made").code == 0
    assert "Deleted" in engine.docker("rmi", "three").out
