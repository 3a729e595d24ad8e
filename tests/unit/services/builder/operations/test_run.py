from __future__ import annotations

from shared.contracts import executor
from shared.contracts.builder import ANNOTATION
from shared.contracts.container import HostConfig
from tests.support.builder_world import World


def created(world: World) -> executor.CreateRequest:
    return next(call for call in world.containers.calls if isinstance(call, executor.CreateRequest))


async def test_what_the_container_is_asked_for(world: World) -> None:
    asked = HostConfig(memory=9 << 20, extra_hosts=("a:1.2.3.4",))
    text = "FROM busybox\nARG A=1\nUSER u\nRUN --network=none true\n"
    image = await world.built(text, host_config=asked, build_args={"A": "2"}, id="me")
    request = created(world)
    assert request.config.env[-1] == "A=2"
    assert (request.config.user, request.host_config.memory, request.host_config.network_mode) == ("u", 9 << 20, "none")
    assert request.host_config.annotations == {ANNOTATION: "me"}
    assert image.history[-1].created_by == "|1 A=2 /bin/sh -c true"
    assert "A=2" not in image.config.env
    assert world.containers.machines == {}


async def test_a_command_that_fails_leaves_its_container(world: World) -> None:
    await world.build("FROM busybox\nRUN exit 7\n")
    assert world.lines[-1]["errorDetail"] == {
        "code": 7, "message": "The command '/bin/sh -c exit 7' returned a non-zero code: 7",
    }  # fmt: skip
    assert len(world.containers.machines) == 1
    await world.build("FROM busybox\nRUN exit 8\n", force_remove=True)
    assert len(world.containers.machines) == 1


async def test_containers_may_stay(world: World) -> None:
    await world.built("FROM busybox\nRUN true\n", remove=False)
    assert len(world.containers.machines) == 1
    assert "Removing" not in world.text
