from __future__ import annotations

import pytest

from services.executor.domain.platforms import mismatch
from shared.contracts.common import Platform

AMD, ARM = Platform(), Platform(architecture="arm64")


def test_dockers_warning() -> None:
    assert mismatch(Platform(architecture="arm", variant="v7"), AMD, None) == (
        "The requested image's platform (linux/arm/v7) does not match the detected host platform (linux/amd64) "
        "and no specific platform was requested",
    )


@pytest.mark.parametrize(
    ("image", "host", "asked"),
    [
        (AMD, AMD, None),
        (Platform(architecture="386"), AMD, None),
        (Platform(architecture="arm"), ARM, None),
        (Platform(architecture=""), AMD, None),
        (ARM, AMD, ARM),
    ],
)
def test_none_where_it_runs_by_itself_or_was_asked_for(image: Platform, host: Platform, asked: Platform | None) -> None:
    assert mismatch(image, host, asked) == ()
