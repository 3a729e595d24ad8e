"""The suites, as data: where the tests come from, what they need, which images they expect to be there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.debian_images import Recipe
from tests.support.reaper import reaper_image
from tests.support.software import POSTGRES, PYTHON, REDIS
from tools.images import GROUP, PASSWD, Image, busybox_layer, directory, entry, tar

ENVIRONMENT = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


HELLO = ("echo", "Hello from Docker!")
LIKE_OTHERS = tar(
    [
        directory("var/opt"),
        entry("etc/passwd", f"{PASSWD}postgres:x:70:70::/var/lib/postgresql:/bin/sh\n".encode()),
        entry("etc/group", f"{GROUP}postgres:x:70:\n".encode()),
    ]
)


def shell(*tags: str, command: Sequence[str] = ("sh",)) -> Image:
    """Busybox with users and folders that other images have, under their names; the name makes an id of its own."""
    config = {"Env": [ENVIRONMENT], "Cmd": list(command), "Labels": {"stand-in": tags[0]}}
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
    software: Sequence[tuple[Recipe, Sequence[str]]] = ()
    """Images of real software, and the names that the tests have for them."""
    environment: Mapping[str, str] = field(default_factory=dict)
    ignores: Mapping[str, str] = field(default_factory=dict)
    """Paths that are left out, each with the reason."""
    deselects: Mapping[str, str] = field(default_factory=dict)
    """Tests that are left out, since they would spoil the others here."""


DOCKER_PY = Suite(
    sdist="docker==7.0.0",  # the last release whose source distribution has them
    requires=("docker[ssh,websockets]==7.2.0", "pytest==7.4.2", "pytest-timeout==2.1.0"),
    paths=("tests/integration",),
    images=(
        shell("alpine:3.10"),
        shell("alpine:latest"),
        shell("busybox:latest"),
        shell("hello-world:latest", command=HELLO),
    ),
    ignores={
        "tests/integration/credentials": "credential helpers: no engine takes part",
        "tests/integration/context_api_test.py": "contexts on the client's disk: no engine takes part",
    },
)

_DIND = "a docker in docker, whose image is in a registry only"

AIODOCKER = Suite(
    sdist="aiodocker==0.27.0",
    requires=(
        *("aiodocker[ssh]==0.27.0", "aiohttp==3.13.5", "async-timeout", "packaging", "testcontainers==4.14.2"),
        *("pytest==9.0.3", "pytest-asyncio==1.3.0", "pytest-timeout==2.4.0"),
    ),
    paths=("tests",),
    images=(shell("hello-world:latest", command=HELLO), shell("alpine:latest"), shell("busybox:latest")),
    software=((PYTHON, ("python:3.13-alpine", "python:3.14-alpine")),),
    ignores={
        **{f"tests/test_{name}.py": _DIND for name in ("configs", "nodes", "secrets", "services", "swarm")},
        "tests/test_ssh.py": "a server for ssh on this machine",
    },
    deselects={
        f"tests/test_containers.py::{name}": "removes the image of all tests, to pull it from a registry"
        for name in ("test_run_container_with_missing_image", "test_run_failing_start_container")
    },
)

TESTCONTAINERS = Suite(
    sdist="testcontainers==4.14.2",  # the last release whose source distribution has them
    requires=(
        *(
            "testcontainers[redis,postgres]==4.14.2",
            "sqlalchemy",
            "anyio",
            "psycopg2-binary",
            "psycopg[binary]",
            "pg8000",
        ),
        *("pytest==9.0.3", "pytest-asyncio==1.3.0", "pytest-mock", "pytest-timeout==2.4.0", "paramiko", "tomli"),
    ),
    paths=("core/tests", "modules/redis/tests", "modules/postgres/tests"),
    images=(
        *(shell("alpine:latest"), shell("ubuntu:latest"), shell("busybox:latest"), reaper_image()),
        shell("hello-world:latest", command=HELLO),
    ),
    software=(
        (POSTGRES, tuple(f"postgres:{version}" for version in ("9.5", "12", "13", "14", "15", "16", "16-alpine"))),
        (REDIS, ()),
        (PYTHON, ()),
    ),
    ignores={
        "core/tests/test_docker_in_docker.py": _DIND,
        "core/tests/test_core_registry.py": "the image of a registry",
        "core/tests/test_compose.py": "tests/system/test_compose.py has Compose",
    },
    deselects={
        "core/tests/test_config.py::test_override_tc_properties_2": "makes the reaper of all later tests privileged: "
        "for that 20.10 asks for capabilities that this machine may lack",
    },
)

SUITES: Mapping[str, Suite] = {"docker-py": DOCKER_PY, "aiodocker": AIODOCKER, "testcontainers": TESTCONTAINERS}
