"""What service and tunnel say to each other: JSON objects, one a packet, on a unix socket. Pure.

To the tunnel: `receive` (a peer's packets come under these keys), `send` (a peer's go out under these from now on),
`forget` (a peer's keys; without a peer: all), each with a `number` that its answer bears. From it: `ready`, once, with
what it can; `done`; `failed`; `worn`: keys for a peer have sealed so much that others are to be agreed on.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

READY, DONE, FAILED, WORN = "ready", "done", "failed", "worn"
RECEIVE, SEND, FORGET = "receive", "send", "forget"
LONGEST = 4096


@dataclass(frozen=True)
class Message:
    """`peer` is a host's address; `material` key and salt in hexadecimal. `whole`: packets may go unsegmented.

    In `ready`, `whole` is whether the kernel here can do that, and `peer` the address the tunnel is for.
    """

    verb: str
    number: int = 0
    peer: str = ""
    spi: int = 0
    material: str = ""
    whole: bool = False
    text: str = ""

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


def decode(data: bytes) -> Message:
    """Raises `ValueError` for what `Message.encode` cannot have made."""
    try:
        return Message(**json.loads(data))
    except TypeError as error:
        raise ValueError(str(error)) from None
