from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import merge
from shared.contracts.container import ContainerConfig, Healthcheck
from shared.errors import InvalidArgument

IMAGE = ContainerConfig(
    user="redis",
    exposed_ports={"6379/tcp": {}},
    env=("PATH=/bin", "MODE=image"),
    cmd=("redis-server",),
    entrypoint=("entry.sh",),
    volumes={"/data": {}},
    working_dir="/data",
    labels={"a": "image", "b": "image"},
    stop_signal="SIGINT",
    healthcheck=Healthcheck(test=("CMD", "true"), retries=3),
)


def test_an_empty_configuration_takes_the_images() -> None:
    merged = merge.with_image(ContainerConfig(image="redis"), IMAGE)
    assert merged.user == "redis"
    assert merged.env == IMAGE.env
    assert merged.working_dir == "/data"
    assert merged.stop_signal == "SIGINT"
    assert merged.volumes == {"/data": {}}
    assert merged.healthcheck == IMAGE.healthcheck
    assert merge.program(merged) == ("entry.sh", ("redis-server",))


def test_the_users_word_wins_field_by_field() -> None:
    user = ContainerConfig(
        user="me",
        env=("MODE=mine", "X"),
        labels={"b": "mine"},
        exposed_ports={"80/tcp": {}},
        healthcheck=Healthcheck(interval=7),
    )
    merged = merge.with_image(user, IMAGE)
    assert merged.user == "me"
    assert merged.env == ("MODE=mine", "X", "PATH=/bin")
    assert merged.labels == {"a": "image", "b": "mine"}
    assert merged.exposed_ports == {"80/tcp": {}, "6379/tcp": {}}
    assert merged.healthcheck == Healthcheck(test=("CMD", "true"), interval=7, retries=3)


def test_command_and_entrypoint() -> None:
    cmd = merge.with_image(ContainerConfig(cmd=("sh", "-c", "ls")), IMAGE)
    assert merge.program(cmd) == ("entry.sh", ("sh", "-c", "ls"))
    entrypoint = merge.with_image(ContainerConfig(entrypoint=("sh",)), IMAGE)
    assert merge.program(entrypoint) == ("sh", ())
    cleared = merge.with_image(ContainerConfig(entrypoint=("",), cmd=("ls",)), IMAGE)
    assert cleared.entrypoint is None
    assert merge.program(cleared) == ("ls", ())


def test_no_command() -> None:
    with pytest.raises(InvalidArgument, match="no command specified"):
        merge.program(merge.with_image(ContainerConfig(), ContainerConfig()))


words = st.lists(st.text("ab=", min_size=1, max_size=3), max_size=4).map(tuple)


@given(words, words)
def test_every_variable_is_there_once_per_name_and_side(user: tuple[str, ...], image: tuple[str, ...]) -> None:
    merged = merge.with_image(ContainerConfig(env=user), ContainerConfig(env=image)).env
    assert merged[: len(user)] == user
    named = {variable.partition("=")[0] for variable in user}
    assert all(variable.partition("=")[0] not in named for variable in merged[len(user) :])
    assert {variable.partition("=")[0] for variable in image} <= {v.partition("=")[0] for v in merged}
