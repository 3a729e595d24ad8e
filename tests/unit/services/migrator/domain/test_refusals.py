from __future__ import annotations

from services.migrator.domain.refusals import is_refusal
from shared.errors import KINDS

DOUBTFUL = {"unavailable", "deadline_exceeded", "internal", "unknown", "data_loss", "aborted", "cancelled"}


def test_only_who_was_there_can_refuse() -> None:
    for kind, error in KINDS.items():
        if kind in DOUBTFUL:
            assert not is_refusal(error("no answer"))
    assert is_refusal(KINDS["conflict"]("no"))
    assert is_refusal(KINDS["not_found"]("no"))
