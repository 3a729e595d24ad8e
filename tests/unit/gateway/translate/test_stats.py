from __future__ import annotations

from gateway.http.version import Version
from gateway.translate.stats import response
from shared.contracts.platform import Sample

FIRST = Sample(read=1_000_000_000, raw={"cpu_stats": {"online_cpus": 2}, "pids_stats": {"current": 1}})
SECOND = Sample(read=2_500_000_000, raw={"cpu_stats": {"online_cpus": 3}, "pids_stats": {"current": 4}})


def test_rates_are_differences_to_the_sample_before() -> None:
    shown = response("c", "web", SECOND, FIRST, Version(1, 51))
    assert (shown["id"], shown["name"], shown["pids_stats"]) == ("c", "/web", {"current": 4})
    assert (shown["preread"], shown["read"]) == ("1970-01-01T00:00:01Z", "1970-01-01T00:00:02.5Z")
    assert (shown["precpu_stats"], shown["cpu_stats"]) == ({"online_cpus": 2}, {"online_cpus": 3})


def test_a_first_sample() -> None:
    shown = response("c", "web", FIRST, None, Version(1, 51))
    assert shown["preread"] == "0001-01-01T00:00:00Z"
    assert shown["precpu_stats"]["cpu_usage"]["total_usage"] == 0


def test_what_does_not_run_uses_nothing() -> None:
    shown = response("c", "web", None, None, Version(1, 51))
    assert (shown["read"], shown["memory_stats"], shown["pids_stats"]) == ("0001-01-01T00:00:00Z", {}, {})
    assert "networks" not in shown


def test_the_system_is_told_since_1_52() -> None:
    assert "os_type" not in response("c", "web", FIRST, None, Version(1, 51))
    assert response("c", "web", FIRST, None, Version(1, 52))["os_type"] == "linux"
