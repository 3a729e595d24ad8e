"""What service and tunnel say to each other."""

from __future__ import annotations

import pytest

from services.network.tunnel import messages
from services.network.tunnel.messages import Message


def test_messages_come_back_as_they_were() -> None:
    message = Message(messages.SEND, 3, "10.0.0.1", 0xFFFFFFFF, "00" * 36, True, "text")
    assert messages.decode(message.encode()) == message
    assert len(message.encode()) < messages.LONGEST


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"verb": "send", "other": 1}', b"\xff"])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
        messages.decode(data)
