"""The command on stores that real ones left, and on one that works; with a real broker that has their names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from typer.testing import CliRunner, Result

from shared.contracts.image_store import REFERENCES, ReferenceRecord
from tests.support.broker import Broker
from tests.support.image_store import World, small
from tests.support.worlds import nats_world
from tools import images
from tools.images import docker_archive
from tools.shoal import store_check
from tools.shoal.__main__ import app

IMAGE = small("a:1", below=b"below")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], object]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with an image and a container; its engine is down."""
    world = World(tmp_path)
    monkeypatch.setenv("SHOAL_STATE_DIR", world.settings.state_dir)
    monkeypatch.setenv("SHOAL_RUN_DIR", world.settings.run_dir)
    async with world.store() as store:
        await store.load(docker_archive(IMAGE))
        await store.prepare("c1", "a:1")
    return store.root


def damage(root: Path) -> None:
    (root / "blobs/sha256" / images.digest(IMAGE.layers[0])[7:]).write_bytes(b"wrong")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["fsck", *arguments])


def test_sound(root: Path) -> None:
    result = run()
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "sound")
    assert result.output.startswith("1 images, 4 blobs (")
    said = json.loads(run("--json").stdout)
    assert (said["sound"], said["online"], said["names"], said["repaired"]) == (True, False, False, [])
    assert said["checked"]["images"] == 1


def test_damaged_and_repaired(root: Path) -> None:
    damage(root)
    assert run("--quick").exit_code == 0
    result = run()
    assert (result.exit_code, result.output.splitlines()[-1]) == (1, "DAMAGED")
    assert "its bytes are not what its name says" in result.output
    assert "-> shoal down; shoal fsck --repair" in result.output
    result = run("--repair")
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "sound")
    assert "repaired    sha256:" in result.output
    assert result.output.startswith("0 images")


def test_a_running_engine_is_not_repaired(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_check, "_runs", lambda settings: True)
    result = run("--repair")
    assert result.exit_code == 2
    assert "shoal down" in result.stderr


def test_what_is_under_way_is_not_reported(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "ingest/abc").mkdir()
    assert "was being taken in" in run().output
    monkeypatch.setattr(store_check, "_runs", lambda settings: True)
    assert "was being taken in" not in run().output
    damage(root)
    result = run()
    assert (result.exit_code, "its bytes are not" in result.output) == (1, True)


async def test_names_are_compared(root: Path, broker: Broker, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_check, "_runs", lambda settings: True)
    monkeypatch.setenv("SHOAL_NATS_URL", broker.url)
    keys = root.parent / "keys"
    keys.mkdir()
    (keys / "tool.nk").write_bytes(broker.seed("tool").read_bytes())
    node = (root.parent / "node-id").read_text() if (root.parent / "node-id").exists() else "here"
    (root.parent / "node-id").write_text(node)
    async with nats_world(directory, broker) as world:
        state = await world.state(await world.bus())
        for name, image_id, where in (("a:1", IMAGE.id, node), ("b:1", "sha256:0", node), ("c:1", "sha256:0", "far")):
            record = ReferenceRecord(reference=f"docker.io/library/{name}", image_id=image_id)
            await state.create(REFERENCES, where, record.reference, value=record)
        said = json.loads((await asyncio.to_thread(run, "--json")).stdout)  # it has a loop of its own
    assert said["names"]
    assert [each["subject"] for each in said["checked"]["findings"]] == ["docker.io/library/b:1"]
