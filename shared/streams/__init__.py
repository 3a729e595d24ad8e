"""Live byte streams beside the messages: a unix socket on one host, credits over the bus or TLS across hosts."""

from shared.streams.channel import Channel, LocalChannel
from shared.streams.frames import FRAME_HEADER, frame
from shared.streams.streams import Streams

__all__ = ["FRAME_HEADER", "Channel", "LocalChannel", "Streams", "frame"]
