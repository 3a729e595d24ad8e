from __future__ import annotations

import pytest

from tests.support.builder_world import World


@pytest.mark.parametrize("remote", ["ftp://x", "client-session", "nonsense"])
async def test_what_is_no_place(world: World, remote: str) -> None:
    await world.build("", remote=remote)
    assert world.error == f"remoteURL ({remote}) could not be recognized as URL"
