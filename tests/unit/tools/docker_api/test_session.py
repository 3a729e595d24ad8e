from __future__ import annotations

from collections import Counter

from tools.docker_api.campaign import Finding, Report
from tools.docker_api.generate import Request
from tools.docker_api.session import Outcome


def test_what_people_read() -> None:
    finding = Finding(7, Request("VolumeList", "GET", "/v1.51/volumes"), "500 no")
    outcome = Outcome(2, 1.5, Report(Counter({200: 1, 500: 1}), [finding]), ["links: 1 before, 2 after"])
    assert outcome.failed
    assert [*outcome.lines()] == [
        "#7 VolumeList: 500 no",
        "    GET /v1.51/volumes {}",
        "LEAK links: 1 before, 2 after",
        "2 requests in 1.5 s; 200: 1, 500: 1",
    ]
    assert not Outcome(1, 1.0, Report()).failed
