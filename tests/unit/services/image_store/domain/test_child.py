from __future__ import annotations

import pytest

from services.image_store.domain import child
from shared.contracts.common import Platform
from shared.contracts.container import ContainerConfig, Healthcheck
from shared.contracts.image_store import HistoryEntry, Image, ImageSource
from shared.errors import InvalidArgument
from shared.version import ENGINE_VERSION

PARENT = Image(
    id="sha256:" + "1" * 64,
    diff_ids=("sha256:a",),
    platform=Platform(architecture="arm64", variant="v8"),
    history=(HistoryEntry(created_by="first", size=7),),
)


def test_a_layer_more() -> None:
    source = ImageSource(author="me", comment="why", container_config=ContainerConfig(cmd=("sh", "-c", "x")))
    image = child.child(PARENT, source, ContainerConfig(user="u"), "sha256:b", "now")
    assert (image.parent, image.diff_ids, image.platform) == (PARENT.id, ("sha256:a", "sha256:b"), PARENT.platform)
    assert (image.author, image.docker_version, image.config.user) == ("me", ENGINE_VERSION, "u")
    assert image.history == (
        HistoryEntry(created_by="first"),
        HistoryEntry(created="now", created_by="sh -c x", author="me", comment="why"),
    )


def test_no_layer_more_on_nothing() -> None:
    source = ImageSource(created="then", created_by="CMD x", container_config=ContainerConfig(cmd=("y",)))
    image = child.child(None, source, ContainerConfig(), "", "now")
    assert (image.parent, image.diff_ids, image.created) == ("", (), "then")
    assert image.history == (HistoryEntry(created="then", created_by="CMD x", empty_layer=True),)


def test_changes_come_first_then_what_is_missing_is_completed() -> None:
    own = ContainerConfig(
        env=("A=1",), cmd=("x",), user="u", healthcheck=Healthcheck(test=("CMD", "old"), interval=5 * 10**9)
    )
    source = ImageSource(config=own, changes=("HEALTHCHECK CMD new", "ENV B=$A"), defaults=own)
    made = child.config_of(source)
    assert made.healthcheck == Healthcheck(test=("CMD-SHELL", "new"), interval=5 * 10**9)
    assert (made.env, made.cmd) == (("A=1", "B=1"), ("x",))
    given = ImageSource(config=ContainerConfig(cmd=("y",)), changes=('ENTRYPOINT ["e"]',), defaults=own)
    assert (child.config_of(given).cmd, child.config_of(given).user) == (None, "u")
    assert child.config_of(ImageSource(config=ContainerConfig(cmd=("y",)))) == ContainerConfig(cmd=("y",))


def test_names() -> None:
    assert child.name_of(ImageSource()) is None
    name = child.name_of(ImageSource(repository="a/b", tag="1"))
    assert name is not None
    assert name.familiar == "a/b:1"
    for repository in ("a@sha256:" + "1" * 64, "UPPER", "a b"):
        with pytest.raises(InvalidArgument):
            child.name_of(ImageSource(repository=repository))
