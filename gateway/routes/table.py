"""All operations there are."""

from __future__ import annotations

from ..http.router import Route
from . import absent, attach, commit, containers, exec, images, networks, swarm, system, volumes, wait

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *containers.ROUTES,
    *attach.ROUTES,
    *wait.ROUTES,
    *exec.ROUTES,
    *images.ROUTES,
    *commit.ROUTES,
    *networks.ROUTES,
    *volumes.ROUTES,
    *swarm.ROUTES,
    *absent.ROUTES,
)
