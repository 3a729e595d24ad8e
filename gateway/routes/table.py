"""All operations there are."""

from __future__ import annotations

from ..http.router import Route
from . import (
    absent,
    attach,
    build,
    checkpoints,
    commit,
    containers,
    exec,
    files,
    images,
    networks,
    resources,
    swarm,
    system,
    volumes,
    wait,
)

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *containers.ROUTES,
    *attach.ROUTES,
    *wait.ROUTES,
    *resources.ROUTES,
    *exec.ROUTES,
    *checkpoints.ROUTES,
    *images.ROUTES,
    *commit.ROUTES,
    *files.ROUTES,
    *build.ROUTES,
    *networks.ROUTES,
    *volumes.ROUTES,
    *swarm.ROUTES,
    *absent.ROUTES,
)
