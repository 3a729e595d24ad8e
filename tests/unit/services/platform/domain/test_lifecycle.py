"""What may be done in which state."""

from __future__ import annotations

import pytest

from services.platform.domain.lifecycle import State, check
from shared.errors import Conflict


@pytest.mark.parametrize(
    ("wish", "state"),
    [("start", "created"), ("exec", "running"), ("pause", "running"), ("unpause", "paused"), ("delete", "stopped"),
     ("delete", "created"), ("signal", "paused"), ("top", "running")],
)  # fmt: skip
def test_allowed(wish: str, state: State) -> None:
    assert check("c", state, wish) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("wish", "state", "text"),
    [
        ("start", "running", "Container c is already running"),
        ("signal", "stopped", "Container c is not running"),
        ("exec", "created", "Container c is not running"),
        ("exec", "paused", "Container c is paused, unpause the container before exec"),
        ("pause", "paused", "Container c is already paused"),
        ("unpause", "running", "Container c is not paused"),
        ("resize", "stopped", "Container c is not running"),
        ("delete", "running", "You cannot remove a running container c. Stop it first"),
    ],
)
def test_refused_in_dockers_words(wish: str, state: State, text: str) -> None:
    with pytest.raises(Conflict) as caught:
        check("c", state, wish)
    assert caught.value.message == text
