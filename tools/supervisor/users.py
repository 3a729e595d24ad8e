"""Who may log in at the embedded broker, and what each may say and hear."""

from __future__ import annotations

from shared.config import Settings
from shared.contracts import CONTRACTS
from shared.contracts.permissions import TOOL, permissions

from . import keys
from .broker import User

OPERATOR = "tool"
"""The identity of the `shoal` command."""


def broker_users(settings: Settings) -> list[User]:
    """One user for each engine service with what its contract declares, and one for the operator."""
    folder = settings.state_path / "keys"
    allowed = {name: permissions(contract, CONTRACTS) for name, contract in CONTRACTS.items()} | {OPERATOR: TOOL}
    return [{"nkey": keys.public_key(folder, name), "permissions": what} for name, what in allowed.items()]
