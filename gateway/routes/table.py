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
    migrate,
    networks,
    registry,
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
    *registry.ROUTES,  # before images, whose names take any word
    *images.ROUTES,
    *commit.ROUTES,
    *files.ROUTES,
    *migrate.ROUTES,
    *build.ROUTES,
    *networks.ROUTES,
    *volumes.ROUTES,
    *swarm.ROUTES,
    *absent.ROUTES,
)
