"""Legacy links."""

from __future__ import annotations

import pytest

from services.executor.domain import links
from shared.contracts.container import ContainerConfig
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "expected"),
    [("db:store", ("db", "store")), ("db", ("db", "db")), ("/db:/web/store", ("db", "store")), ("/db", ("db", "db"))],
)
def test_forms_of_a_link(text: str, expected: tuple[str, str]) -> None:
    assert links.parse(text) == expected


@pytest.mark.parametrize("text", ["", "a:b:c", ":", "db:", ":x", "db:a b", "db:a\nb"])
def test_what_is_no_link(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"empty string specified for links|bad format for links"):
        links.parse(text)


def test_the_first_of_an_alias_counts_and_users_networks_have_names_of_their_own() -> None:
    assert links.wanted(["db:x", "web:x", "db"], "bridge") == {"x": "db", "db": "db"}
    assert links.wanted(["db:x"], "own") == {}
    with pytest.raises(InvalidArgument):
        links.wanted(["a:b:c"], "own")


def test_kept_links() -> None:
    kept = ("c1:db", "c2:web")
    assert links.split(kept[0]) == ("c1", "db")
    assert links.without(kept, "db") == ("c2:web",)
    assert links.without(kept, "nope") == kept


def test_variables_are_dockers() -> None:
    child = ContainerConfig(
        exposed_ports={"81/tcp": {}, "80/tcp": {}, "53/udp": {}, "90": {}},
        env=("A=1", "HOME=/x", "PATH=/bin", "B", "C=d=e"),
    )
    assert links.environment("web", "my-db", "10.0.0.2", child) == [
        "MY_DB_PORT=tcp://10.0.0.2:80",
        *_port(80, "tcp"),
        *_port(81, "tcp"),
        *_port(90, "tcp"),
        *_port(53, "udp"),
        "MY_DB_PORT_80_TCP_START=tcp://10.0.0.2:80",
        "MY_DB_PORT_80_TCP_PORT_START=80",
        "MY_DB_PORT_80_TCP_END=tcp://10.0.0.2:81",
        "MY_DB_PORT_80_TCP_PORT_END=81",
        "MY_DB_NAME=/web/my-db",
        "MY_DB_ENV_A=1",
        "MY_DB_ENV_C=d=e",
    ]
    assert links.environment("web", "db", "10.0.0.2", ContainerConfig()) == ["DB_NAME=/web/db"]


def _port(number: int, protocol: str) -> list[str]:
    name = f"MY_DB_PORT_{number}_{protocol.upper()}"
    return [
        f"{name}={protocol}://10.0.0.2:{number}",
        f"{name}_ADDR=10.0.0.2",
        f"{name}_PORT={number}",
        f"{name}_PROTO={protocol}",
    ]


def test_who_is_down() -> None:
    text = "Cannot link to a non running container: /db AS /web/store"
    assert links.not_running("db", "web", "store").message == text
