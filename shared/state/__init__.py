"""Durable records with revisions, and read models fed by watching them."""

from shared.state.memory import MemoryState
from shared.state.nats import NatsState
from shared.state.store import State
from shared.state.view import Entry, View

__all__ = ["Entry", "MemoryState", "NatsState", "State", "View"]
