"""Hosts of a lab with engines, made a cluster."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.images import busybox, docker_archive
from tools.lab.lab import Lab
from tools.lab.plan import address


class Hosts:
    """A lab whose hosts have engines. Hosts are numbered from 1."""

    def __init__(self, lab: Lab, settings: Mapping[str, str] | None = None) -> None:
        self.lab, self._settings = lab, settings or {}

    def run(self, number: int, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a program on a host."""
        return self.lab.host(number).run(words, self._environment(number))

    def environment(self, number: int) -> dict[str, str]:
        """Of a program that is begun on a host by the words of its `command`."""
        return {**os.environ, **self._environment(number)}

    def _environment(self, number: int) -> dict[str, str]:
        return {**self.lab.plan.environment(number), **self._settings}

    def ok(self, number: int, *words: str) -> str:
        """What it printed; it must succeed."""
        done = self.run(number, *words)
        assert done.returncode == 0, f"{number} {words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def shoal(self, number: int, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run(number, self._program, *words)

    def shoal_ok(self, number: int, *words: str) -> str:
        return self.ok(number, self._program, *words)

    def docker(self, number: int, *words: str) -> str:
        return self.ok(number, "docker", *words)

    def refused(self, number: int, *words: str) -> str:
        """What docker says when it fails, as it must."""
        done = self.run(number, "docker", *words)
        assert done.returncode != 0, f"{number} {words}: {done.stdout}"
        return done.stderr

    @property
    def _program(self) -> str:
        return str(self.lab.plan.folder / "bin/shoal")

    def seen(self, number: int) -> dict[str, bool]:
        """The hosts as one of them sees them: name, and whether it answers."""
        return {
            one["record"]["name"]: one.get("ready", False)
            for one in json.loads(self.shoal_ok(number, "node", "ls", "--json"))
        }

    def hubs(self, number: int) -> set[str]:
        """The names of the hosts that run a hub, as one host sees them."""
        told = json.loads(self.shoal_ok(number, "node", "ls", "--json"))
        return {one["record"]["name"] for one in told if one["record"]["role"] == "hub"}

    def init(self) -> None:
        self.shoal_ok(1, "cluster", "init", "--address", address(1))

    def join(self, number: int) -> None:
        self.shoal_ok(number, *joining(self.shoal_ok(1, "cluster", "token"), address(number)))

    def load(self) -> None:
        """busybox:latest, on every host."""
        path = self.lab.plan.folder / "busybox.tar"
        path.write_bytes(docker_archive(busybox()))
        for number in self.lab.plan.numbers:
            self.docker(number, "load", "-i", str(path))


def joining(told: str, address: str) -> list[str]:
    """The arguments of what `shoal cluster token` says to type."""
    return told.strip().replace("ITS-ADDRESS", address).split()[1:]


@contextmanager
def engines(folder: Path, number: int, **settings: str) -> Iterator[Hosts]:
    """A lab with an engine on each host; nothing of it is left. `settings`: environment variables of the engines."""
    lab = Lab.up(folder, number)
    try:
        made = Hosts(lab, settings)
        for each in lab.plan.numbers:
            made.shoal_ok(each, "up")
        yield made
    finally:
        lab.down()
