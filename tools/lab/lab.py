"""A lab as a whole: its switch, its hosts, and what was made of it before."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from shared.errors import FailedPrecondition

from . import switch
from .host import Host
from .plan import Plan, host_name, plan

FILE = "lab.json"
PROGRAMS = "bin"
CGROUPS = Path("/sys/fs/cgroup")
CHECKOUT = Path(__file__).resolve().parents[2]


class Lab:
    """The lab of a folder. Every operation finds it as the last one left it; each may be repeated."""

    def __init__(self, planned: Plan) -> None:
        self.plan = planned
        self._switch = Host(planned.folder / "switch", "switch")

    @classmethod
    def found(cls, folder: Path) -> Lab:
        """The lab that is there; `FailedPrecondition` where none is."""
        try:
            return cls(plan(folder, msgspec.json.decode((folder / FILE).read_bytes(), type=int)))
        except (FileNotFoundError, msgspec.DecodeError):
            raise FailedPrecondition(f"no lab in {folder}; make one with: shoal lab up --nodes 3") from None

    @classmethod
    def up(cls, folder: Path, hosts: int) -> Lab:
        """Makes the lab, or starts the hosts of one that is there with as many hosts."""
        made = cls(plan(folder, hosts))
        if (folder / FILE).exists() and (there := cls.found(folder).plan.hosts) != hosts:
            raise FailedPrecondition(f"the lab in {folder} has {there} hosts, not {hosts}; first: shoal lab down")
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        (folder / FILE).write_bytes(msgspec.json.encode(hosts))
        _program(folder / PROGRAMS)
        if not made._switch.running:
            made._switch.start()
            switch.make(made._switch.network)
        for number in made.plan.numbers:
            made.start(number)
        return made

    def host(self, number: int) -> Host:
        return Host(self.plan.home(self.plan.check(number)), host_name(number))

    def start(self, number: int) -> Host:
        """Switches a host on: empty of processes, with the disk it had."""
        host = self.host(number)
        if not host.running:
            host.start()
            switch.plug_in(self._switch.network, number, host.network, host.pid)
        return host

    def cut(self, one: int, other: int) -> None:
        """No frame passes between two hosts any more, in either direction, and neither is told."""
        switch.cut(self.host(one).network, self.plan.check(other))
        switch.cut(self.host(other).network, one)

    def mend(self, one: int, other: int) -> None:
        """Takes a cut back."""
        switch.mend(self.host(one).network, self.plan.check(other))
        switch.mend(self.host(other).network, one)

    def kill(self, number: int) -> None:
        """A host's power cut."""
        host = self.host(number)
        if host.running:
            with suppress(FailedPrecondition):  # whoever was to kill it was interrupted
                switch.unplug(self._switch.network, number)
        host.kill(partial(thaw, self.plan.cgroup(number)))
        remove_cgroups(self.plan.cgroup(number))

    def down(self) -> None:
        """Ends all hosts and removes everything that the lab was."""
        for number in self.plan.numbers:
            self.kill(number)
        self._switch.kill()
        shutil.rmtree(self.plan.folder)


def _program(folder: Path) -> None:
    """`shoal`, of this very checkout and environment, for a host's PATH."""
    folder.mkdir(exist_ok=True)
    program = folder / "shoal"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {sys.executable} -P -m tools.shoal "$@"\n')
    program.chmod(0o755)


def thaw(name: str) -> None:
    """Lets go what is frozen in a host's control groups: on v1 a frozen process does not even end when it is killed."""
    for path in (CGROUPS / "freezer" / name).rglob("freezer.state"):
        path.write_text("THAWED")


def remove_cgroups(name: str) -> None:
    """Removes the control groups of a host that was killed, in all hierarchies, with all below them."""
    for parent in (CGROUPS / name, *CGROUPS.glob(f"*/{name}")):
        for folder, _, _ in os.walk(parent, topdown=False):
            os.rmdir(folder)
