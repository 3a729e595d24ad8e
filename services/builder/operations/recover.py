"""After a crash: the containers of builds that nobody finishes any more are removed.

What that needs is imported when there is something to remove: a builder that starts stays small.
"""

from __future__ import annotations

import logging

from shared.contracts import executor, image_store
from shared.contracts.builder import ANNOTATION, BUILDS
from shared.contracts.common import Ref
from shared.errors import NotFound, ShoalError
from shared.service import Kernel

log = logging.getLogger(__name__)


async def recover(kernel: Kernel) -> None:
    """Follows the records that unfinished builds of this node left. What cannot be removed keeps its record."""
    _sweep(kernel)
    records = await kernel.state.view(BUILDS)
    records.stop()
    left = {parts[1] for parts, _ in records.items(BUILDS) if parts[0] == kernel.node}
    if left:
        await _finish(kernel, left)


def _sweep(kernel: Kernel) -> None:
    if not any((path / "builder").exists() for path in (kernel.settings.state_path, kernel.settings.run_path)):
        return
    from ..adapters import spool
    from ..adapters.mount_files import mount_files

    mount_files(kernel).sweep()
    spool.sweep(kernel.settings.state_path / "builder")


async def _finish(kernel: Kernel, left: set[str]) -> None:
    from ..adapters.store import lease

    specs = await kernel.state.view(executor.SPECS)
    specs.stop()
    unfinished = set()
    for (container,), entry in specs.items(executor.SPECS):
        build = entry.value.host_config.annotations.get(ANNOTATION, "")
        if build in left and not await _remove(kernel, container):
            unfinished.add(build)
    for build in left - unfinished:
        await kernel.bus.call(image_store.END_LEASE, Ref(id=lease(build)))
        await kernel.state.delete(BUILDS, kernel.node, build)


async def _remove(kernel: Kernel, container: str) -> bool:
    try:
        await kernel.bus.call(executor.REMOVE, executor.RemoveRequest(id=container, force=True, volumes=True))
    except NotFound:
        pass
    except ShoalError as error:
        log.warning("container %s of an unfinished build is left: %s", container, error)
        return False
    return True
