"""A model of the platform service as far as it is asked about its host."""

from __future__ import annotations

from shared.contracts import platform as contract
from shared.contracts.base import Empty
from shared.contracts.common import Platform


class PlatformHostSimulator:
    """Serves `platform.host`."""

    async def host(self, request: Empty) -> contract.HostInfo:
        return contract.HostInfo(
            platform=Platform(),
            kernel_version="6.1.0",
            operating_system="Debian GNU/Linux 12 (bookworm)",
            os_version="12",
            cpus=2,
            memory_bytes=1 << 30,
            cgroup_version="2",
            security_options=("name=seccomp,profile=default",),
            runtimes={"crun": "/usr/bin/crun"},
            runtime_version="crun version 1.21",
            features={"memory_limit": True},
        )
