import pytest

from services.executor.adapters import patience
from services.executor.adapters.patience import patiently
from shared.errors import NotFound, ShoalError, Unavailable


@pytest.mark.parametrize(("errors", "ends"), [([Unavailable("x"), Unavailable("y")], 3), ([NotFound("z")], None)])
async def test_only_what_passes_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, errors: list[ShoalError], ends: int | None
) -> None:
    monkeypatch.setattr(patience, "_FIRST_PAUSE", 0)
    calls = 0

    async def write() -> int:
        nonlocal calls
        calls += 1
        if calls <= len(errors):
            raise errors[calls - 1]
        return calls

    if ends is None:
        with pytest.raises(NotFound):
            await patiently(write)
    else:
        assert await patiently(write) == ends
