"""Requests by operation id, whose answers are judged by the swagger file of the version asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from tests.support.engine import Answer, Engine
from tools.docker_api.deviations import wrong
from tools.docker_api.swagger import Api, Operation


class Caller:
    """Speaks one version of the API."""

    def __init__(self, engine: Engine, api: Api) -> None:
        self.engine, self.api = engine, api
        self.provoked: set[tuple[str, int]] = set()

    def call(
        self,
        id: str,
        /,
        *,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **path: str,
    ) -> Answer:
        """One request. Flags and numbers of the query go as Docker's clients send them; lists are repeated."""
        operation = self.api.operations[id]
        target = self.target(operation, query or {}, path)
        return self.engine.call(operation.method, target, body, data=data, headers=headers)

    def target(self, operation: Operation, query: Mapping[str, Any], path: Mapping[str, str]) -> str:
        where = operation.path
        for name, value in path.items():
            where = where.replace(f"{{{name}}}", quote(value, safe="/:"))
        sent = {name: _sent(value) for name, value in query.items()}
        return f"/v{self.api.version}{where}" + (f"?{urlencode(sent, doseq=True)}" if sent else "")

    def expect(self, status: int, id: str, /, **request: Any) -> Answer:
        """The answer, which has this status and is as the swagger describes it."""
        answer = self.call(id, **request)
        assert answer.status == status, f"{id}: {answer.status} {answer.body[:500]!r}, expected {status}"
        self.judge(id, answer)
        return answer

    def judge(self, id: str, answer: Answer) -> None:
        """Asserts that an answer is one that the swagger documents."""
        operation = self.api.operations[id]
        self.provoked.add((id, answer.status))
        found = [*wrong(self.api, operation, answer.status, answer.headers, answer.body)]
        assert not found, f"{id} {self.api.version} {answer.status}: " + "; ".join(found)


def _sent(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    return json.dumps(value) if isinstance(value, dict) else value
