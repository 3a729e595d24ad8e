"""Who may log in at the embedded broker, and what each may say and hear."""

from __future__ import annotations

from shared.config import Settings

from . import keys
from .broker import User
from .plan import GATEWAY, SERVICES


def broker_users(settings: Settings) -> list[User]:
    """One user for each engine service and the gateway."""
    folder = settings.state_path / "keys"
    return [{"nkey": keys.public_key(folder, name)} for name in (*SERVICES, GATEWAY)]
