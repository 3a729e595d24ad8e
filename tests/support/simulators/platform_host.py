"""A model of the platform service as far as a gateway asks it."""

from __future__ import annotations

from shared.contracts import platform as contract
from shared.contracts.base import Empty
from shared.contracts.common import Platform


class PlatformHostSimulator:
    """Serves `platform.host`, and `platform.stats` of the containers in `using`: each sample has more than the last."""

    def __init__(self) -> None:
        self.using: set[str] = set()
        self.asked: list[tuple[str, ...]] = []
        self.fail: Exception | None = None

    async def stats(self, request: contract.StatsRequest) -> contract.StatsReply:
        self.asked.append(request.ids)
        if self.fail is not None:
            raise self.fail
        number = len(self.asked)
        sample = contract.Sample(read=number * 10**9, raw={"cpu_stats": {"cpu_usage": {"total_usage": number}}})
        return contract.StatsReply(samples={id: sample for id in request.ids if id in self.using})

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
