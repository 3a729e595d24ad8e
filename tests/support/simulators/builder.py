"""A model of the builder: it takes a context and tells how long it was."""

from __future__ import annotations

import json

from shared.contracts import builder as contract
from shared.contracts.base import Empty
from shared.contracts.common import PruneReport, StreamOffer
from shared.errors import InvalidArgument
from shared.service import Kernel
from shared.streams import Channel


class BuilderSimulator:
    """`asked`: every request. A dockerfile called `refused`, `broken` or `gone` ends as it says."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.asked: list[object] = []

    def last(self) -> object:
        """The request noted last."""
        return self.asked[-1]

    async def build(self, request: contract.BuildRequest) -> StreamOffer:
        self.asked.append(request)
        if request.dockerfile == "refused":
            raise InvalidArgument("refused")

        async def serve(channel: Channel) -> None:
            size = 0
            while request.dockerfile != "gone" and (data := await channel.read()):
                size += len(data)
            if request.dockerfile == "gone":
                return
            if request.dockerfile == "wrong":
                await channel.write(
                    b'{"errorDetail":{"code":400,"message":"wrong"},"error":"wrong"}\r\n' + contract.END
                )
                return
            await channel.write(json.dumps({"stream": str(size)}).encode() + b"\r\n")
            if request.dockerfile != "broken":
                await channel.write(contract.END)

        return self._kernel.streams.offer(serve, framed=False)

    async def cancel(self, request: contract.CancelRequest) -> Empty:
        self.asked.append(request)
        return Empty()

    async def prune(self, request: contract.PruneRequest) -> PruneReport:
        self.asked.append(request)
        return PruneReport(removed=("a",), bytes_freed=5)

    async def usage(self, request: Empty) -> contract.UsageReply:
        return contract.UsageReply()
