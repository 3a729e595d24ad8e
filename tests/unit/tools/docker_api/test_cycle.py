from __future__ import annotations

from shared.config import Settings
from tools.docker_api.cycle import BROKER_SLACK, DESCRIPTORS, MEMORY_A_CYCLE, MEMORY_SLACK, restless, slack


def test_slack_is_for_memory_and_descriptors_only() -> None:
    allowed = slack(("memory of network", "descriptors of gateway", "links"), 100)
    assert allowed == {
        "memory of network": MEMORY_SLACK + 100 * MEMORY_A_CYCLE,
        "memory of broker": BROKER_SLACK + 100 * MEMORY_A_CYCLE,
        "descriptors of gateway": DESCRIPTORS,
    }


def test_restless_until_two_counts_agree() -> None:
    differs = restless(Settings())
    counts = ({"links": 1, "memory of x": 5}, {"links": 2}, {"links": 2, "memory of x": 6})
    assert [bool(differs(each)) for each in counts] == [True, True, False]
