"""The bus: typed calls, events and signals over one transport (NATS, or its in-memory twin)."""

from shared.bus.bus import Bus
from shared.bus.memory import MemoryBroker, MemoryTransport
from shared.bus.nats import NatsTransport
from shared.bus.transport import Delivery, Subscription, Transport

__all__ = ["Bus", "Delivery", "MemoryBroker", "MemoryTransport", "NatsTransport", "Subscription", "Transport"]
