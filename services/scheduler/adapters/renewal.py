"""This host's certificate is renewed when two thirds of its time are over, by any hub that has the authority's key.

The key stays: hubs know the host by it. Connections that are there go on with the old certificate.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from shared import cluster, pki
from shared.clock import now_ns
from shared.contracts.scheduler import RENEW, RenewRequest
from shared.errors import ShoalError, Unavailable
from shared.service import Kernel
from shared.tasks import TaskGroup

log = logging.getLogger(__name__)

SECOND = 1_000_000_000
DAY = 86400.0
"""The clock is looked at once a day at least: it may have been put right."""
AGAIN = 600.0
"""Seconds to the next try."""


class Renewal:
    """`hubs` are the hosts to ask; `renewed` is called when the new certificate is on disk."""

    def __init__(
        self,
        kernel: Kernel,
        hubs: Callable[[], Iterable[str]],
        renewed: Callable[[], None],
        clock: Callable[[], int] = now_ns,
    ) -> None:
        self._kernel, self._hubs, self._renewed, self._clock = kernel, hubs, renewed, clock
        self._files = cluster.folder(kernel.settings.state_path)
        self._tasks = TaskGroup("renewal")

    def open(self) -> None:
        self._tasks.start(self._follow(), "follow")

    async def close(self) -> None:
        await self._tasks.close()

    async def _follow(self) -> None:
        while True:  # noqa: ASYNC110  # time is what is waited for
            await asyncio.sleep(await self.step())

    async def step(self) -> float:
        """Renews the certificate if it is time; seconds until the next step."""
        path = self._files / "node.crt"
        if not path.exists():  # this host is leaving its cluster
            return DAY
        left = (pki.renewal(path.read_bytes()) - self._clock()) / SECOND
        if left > 0:
            return min(left, DAY)
        try:
            await self._renew()
        except (ShoalError, OSError) as error:  # a disk may be full
            log.warning("the certificate of this host is not renewed yet: %s", error)
            return AGAIN
        return 0.0

    async def _renew(self) -> None:
        request = pki.request((self._files / "node.key").read_bytes())
        asked = RenewRequest(node=self._kernel.node, request=request.decode())
        for hub in self._hubs():
            try:
                certificate = (await self._kernel.bus.call(RENEW, asked, node=hub)).certificate.encode()
            except ShoalError as error:
                log.info("%s does not renew the certificate: %s", hub, error)
                continue
            if pki.renewal(certificate) <= self._clock():
                raise Unavailable(f"{hub} issues certificates that are old: the clock of one host is wrong")
            cluster.write(self._files / "node.crt", certificate)
            log.info("the certificate of this host is renewed")
            self._renewed()
            return
        raise Unavailable("no hub renews it")
