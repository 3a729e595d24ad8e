from __future__ import annotations

from services.builder.operations.recover import recover
from shared.contracts import executor
from shared.contracts.builder import ANNOTATION, BUILDS, BuildRecord
from shared.contracts.container import ContainerConfig, HostConfig
from shared.errors import Conflict
from tests.support.builder_world import World


async def test_containers_of_unfinished_builds_go(world: World) -> None:
    async def made(build: str) -> str:
        host = HostConfig(annotations={ANNOTATION: build} if build else {})
        request = executor.CreateRequest(config=ContainerConfig(image="busybox"), host_config=host)
        return (await world.user.bus.call(executor.CREATE, request)).id

    others = {await made(""), await made("finished")}
    await made("crashed")
    record = BuildRecord(id="crashed", began=1)
    await world.user.state.create(BUILDS, world.kernel.node, "crashed", value=record)
    await world.user.state.create(BUILDS, "elsewhere", "theirs", value=record)
    world.containers.fail["remove"] = Conflict("not now")
    await recover(world.kernel)
    assert len(world.containers.machines) == 3
    await recover(world.kernel)
    assert world.containers.machines.keys() == others
    view = await world.user.state.view(BUILDS)
    assert [parts for parts, _ in view.items(BUILDS)] == [("elsewhere", "theirs")]
