"""Clients of one host's socket, and what they were promised."""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from shared.errors import FailedPrecondition
from tools.lab.lab import Lab

SECONDS = 90.0
"""A call that takes longer counts as one that hangs."""
HELD = 3
PAUSE = 0.05
IMAGE = "busybox:latest"


class DownError(Exception):
    """The host, or its gateway, is not there, or went away during the call."""


class Connection(http.client.HTTPConnection):
    """To a gateway's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def call(lab: Lab, host: int, method: str, path: str, content: object = None) -> tuple[int, Any]:
    """Status and JSON of the answer of a host's gateway. Raises `DownError`; `TimeoutError` when it hangs."""
    try:
        connection = Connection(f"/proc/{lab.host(host).pid}/root/run/shoal/docker.sock")
        body = None if content is None else json.dumps(content)
        try:
            connection.request(method, f"/v1.44{path}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            told = answer.read()
        finally:
            connection.close()
    except TimeoutError:
        raise
    except (OSError, http.client.HTTPException, FailedPrecondition) as error:
        raise DownError(repr(error)) from None
    return answer.status, json.loads(told) if told.strip() else None


@dataclass
class Held:
    """A container that a client asked for. `removed`: `no`, `asked` (the answer did not come or was no), `yes`."""

    name: str
    number: int
    id: str = ""
    started: bool = False
    removed: str = "no"


@dataclass
class Client:
    """Makes, starts, looks at and removes containers, one after the other, until it is told to stop."""

    lab: Lab
    host: int
    seed: int
    first: int
    held: list[Held] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        chance = random.Random(self.seed * 100 + self.host)
        while not self.stop.wait(PAUSE):
            present = [one for one in self.held if one.id and one.removed == "no"]
            if len(present) < HELD:
                self._make()
            elif chance.random() < 0.5:
                self._remove(chance.choice(present))
            else:
                self._look(chance.choice(present))

    def _make(self) -> None:
        one = Held(f"c{self.host}-{len(self.held)}", self.first + len(self.held))
        self.held.append(one)
        wanted = {"Image": IMAGE, "Cmd": ["sleep", str(one.number)], "HostConfig": {"NetworkMode": "none"}}
        status, told = self._call("create", "POST", f"/containers/create?name={one.name}", wanted)
        if status != 201:
            return
        one.id = told["Id"]
        status, _ = self._call("start", "POST", f"/containers/{one.id}/start")
        one.started = status in (204, 304)

    def _look(self, one: Held) -> None:
        status, told = self._call("inspect", "GET", f"/containers/{one.id}/json")
        if status == 404:
            self.wrong.append(f"host {self.host} does not know {one.name} ({one.id[:12]}), which it has made")
        elif status == 200 and told["Id"] != one.id:
            self.wrong.append(f"host {self.host} takes {told['Id']} for {one.id}")

    def _remove(self, one: Held) -> None:
        one.removed = "asked"
        status, _ = self._call("remove", "DELETE", f"/containers/{one.id}?force=1")
        if status == 204:
            one.removed = "yes"

    def _call(self, what: str, method: str, path: str, content: object = None) -> tuple[int, Any]:
        begun = time.monotonic()
        try:
            status, told = call(self.lab, self.host, method, path, content)
        except DownError:
            self.answers[f"{what} down"] += 1
            return 0, None
        except TimeoutError:
            self.wrong.append(f"{what} at host {self.host} hangs")
            return 0, None
        finally:
            self.slowest = max(self.slowest, time.monotonic() - begun)
        self.answers[f"{what} {status}"] += 1
        if status >= 500 and status not in (503, 507):
            self.wrong.append(f"{what} at host {self.host}: {status} {told}")
        return status, told
