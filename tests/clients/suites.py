"""The suites, as data: where the tests come from, what they need, which images they expect to be there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tools.images import GROUP, PASSWD, Image, busybox_layer, directory, entry, tar

ENVIRONMENT = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


LIKE_OTHERS = tar(
    [
        directory("var/opt"),
        entry("etc/passwd", f"{PASSWD}postgres:x:70:70::/var/lib/postgresql:/bin/sh\n".encode()),
        entry("etc/group", f"{GROUP}postgres:x:70:\n".encode()),
    ]
)


def shell(*tags: str) -> Image:
    """Busybox with users and folders that other images have, under their names; the name makes an id of its own."""
    config = {"Env": [ENVIRONMENT], "Cmd": ["sh"], "Labels": {"stand-in": tags[0]}}
    return Image((busybox_layer(), LIKE_OTHERS), config, tags)


@dataclass(frozen=True)
class Suite:
    """One project's tests."""

    sdist: str
    """Requirement whose source distribution on PyPI has the tests."""
    requires: Sequence[str]
    """What is installed into the suite's environment, the client itself included."""
    paths: Sequence[str]
    images: Sequence[Image] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ignores: Mapping[str, str] = field(default_factory=dict)
    """Paths that are left out, each with the reason."""


DOCKER_PY = Suite(
    sdist="docker==7.0.0",  # the last release whose source distribution has them
    requires=("docker[ssh,websockets]==7.2.0", "pytest==7.4.2", "pytest-timeout==2.1.0"),
    paths=("tests/integration",),
    images=(shell("alpine:3.10"), shell("alpine:latest"), shell("busybox:latest"), shell("hello-world:latest")),
    ignores={
        "tests/integration/credentials": "credential helpers: no engine takes part",
        "tests/integration/context_api_test.py": "contexts on the client's disk: no engine takes part",
    },
)

SUITES: Mapping[str, Suite] = {"docker-py": DOCKER_PY}
