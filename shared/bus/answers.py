"""What a server remembers of requests, so that one sent again is not done again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

MOST = 512
MOST_BYTES = 4 << 20
"""Of ended work, as many answers are kept, and as many bytes of them."""

Answer = tuple[bytes, dict[str, str]]
Work = asyncio.Task[Answer]


class Answers:
    """Work by request id: all that runs, and of what ended the latest answers that must not be made twice."""

    def __init__(self) -> None:
        self._running: dict[str, Work] = {}
        self._ended: OrderedDict[str, Answer] = OrderedDict()
        self._bytes = 0

    def get(self, request_id: str) -> Work | Answer | None:
        """The work that runs, else the answer it has given."""
        return self._running.get(request_id) or self._ended.get(request_id)

    def add(self, request_id: str, work: Work, keep: bool) -> None:
        """Remembers work while it runs, and its answer with `keep`."""
        self._running[request_id] = work
        work.add_done_callback(lambda done: self._end(request_id, done, keep))

    def _end(self, request_id: str, work: Work, keep: bool) -> None:
        self._running.pop(request_id, None)
        if not keep or work.cancelled() or work.exception() is not None:
            return
        answer = self._ended[request_id] = work.result()  # not the task: that would keep all it has touched
        self._bytes += len(answer[0])
        while len(self._ended) > MOST or self._bytes > MOST_BYTES:
            _, (payload, _) = self._ended.popitem(last=False)
            self._bytes -= len(payload)
