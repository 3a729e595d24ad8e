"""The adapter for what the host runs by itself."""

from __future__ import annotations

from typing import Protocol

from shared.contracts.common import Platform

from ..domain import emulation


class Adapter(Protocol):
    """What readies the host for workloads of some platforms; how they are made and run is the same for all."""

    def serves(self, platform: Platform) -> bool:
        """Whether workloads of this platform are its own."""

    def prepare(self, platform: Platform) -> None:
        """Readies the mount namespace of the calling thread, where the monitor of one workload will live; blocks.

        Raises `InvalidArgument` that says what to install when the host cannot run it.
        """

    def platforms(self) -> tuple[Platform, ...]:
        """Those that can run now."""


class Native:
    """Nothing has to be made ready."""

    def __init__(self, architecture: str) -> None:
        self._platforms = emulation.native(architecture)

    def serves(self, platform: Platform) -> bool:
        return platform.architecture in {"", *(each.architecture for each in self._platforms)}

    def prepare(self, platform: Platform) -> None:
        return

    def platforms(self) -> tuple[Platform, ...]:
        return self._platforms
