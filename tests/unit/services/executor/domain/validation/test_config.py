from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.executor.domain.validation.config import check_config, clean
from shared.contracts.container import ContainerConfig, Healthcheck
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (
            ContainerConfig(working_dir="data"),
            "the working directory 'data' is invalid, it needs to be an absolute path",
        ),
        (ContainerConfig(stop_signal="NOPE"), "invalid signal: NOPE"),
        (ContainerConfig(env=("=x",)), "invalid environment variable: =x"),
        (ContainerConfig(env=("",)), "invalid environment variable: "),
        (ContainerConfig(healthcheck=Healthcheck(interval=5)), "Interval in Healthcheck cannot be less than 1ms"),
        (ContainerConfig(healthcheck=Healthcheck(retries=-1)), "Retries in Healthcheck cannot be negative"),
        (
            ContainerConfig(healthcheck=Healthcheck(start_interval=5)),
            "StartInterval in Healthcheck cannot be less than 1ms",
        ),
    ],
)
def test_refused_in_dockers_words(config: ContainerConfig, text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_config(config)
    assert caught.value.message == text


@pytest.mark.parametrize(
    "config", [ContainerConfig(cmd=("a\0",)), ContainerConfig(user="\0"), ContainerConfig(env=("A=\0",))]
)
def test_nul_bytes_are_the_clients_fault(config: ContainerConfig) -> None:
    with pytest.raises(InvalidArgument, match="NUL"):
        check_config(config)


def test_an_environment_has_a_limit() -> None:
    with pytest.raises(InvalidArgument, match="environment is larger"):
        check_config(ContainerConfig(env=("A=" + "x" * (5 << 20),)))


def test_a_usable_configuration_gets_a_clean_working_directory() -> None:
    config = ContainerConfig(working_dir="/a/../b//c/", stop_signal="15", env=("A=1", "B"))
    assert check_config(config).working_dir == "/b/c"


@given(st.text("/.ab", min_size=1).map(lambda path: "/" + path))
def test_clean_paths_are_clean(path: str) -> None:
    found = clean(path)
    assert found.startswith("/")
    assert not found.startswith("//")
    assert ".." not in found.split("/")
    assert clean(found) == found


@pytest.mark.parametrize("name", ["a b", "a\n", "a/b", "a\x07"])
def test_a_hostname_is_a_word(name: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid hostname format"):
        check_config(ContainerConfig(hostname=name))


@pytest.mark.parametrize(
    ("path", "text"), [("relative", "path must be absolute"), ("/", "can't be '/'"), ("/x/..", "can't")]
)
def test_volumes_have_a_place(path: str, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        check_config(ContainerConfig(volumes={path: {}}))


def test_good_names_and_places_are_taken() -> None:
    config = ContainerConfig(hostname="web-1.example", volumes={"/data": {}})
    assert check_config(config) == config
