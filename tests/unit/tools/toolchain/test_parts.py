import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.toolchain.parts import PARTS, Part, debian_version, judge, parse_version, show

CRUN = next(part for part in PARTS if part.name == "crun")
PRINTED = "crun version 1.28\ncommit: 54f16ffb\nspec: 1.0.0\n+SYSTEMD +CAP +SECCOMP +EBPF +CRIU +JSON_C\n"


@given(st.lists(st.integers(0, 999), min_size=2, max_size=5))
def test_a_version_reads_back_as_written(numbers):
    assert parse_version(f"tool version {show(tuple(numbers))}\ncommit: abc") == tuple(numbers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1:2.1.13+ds1-2", (2, 1, 13)), ("4.2.1-1", (4, 2, 1)), ("1.8.1-1+deb12u1", (1, 8, 1)), ("unknown", ())],
)
def test_debian_version_is_the_upstream_part(text, expected):
    assert debian_version(text) == expected


def test_judge_accepts_what_is_new_enough_and_complete():
    assert judge(CRUN, PRINTED) == ""


@pytest.mark.parametrize(
    ("printed", "says"),
    [
        (PRINTED.replace("1.28", "1.8.1"), "1.8.1 is older than 1.27"),
        (PRINTED.replace("+CRIU ", ""), "built without +CRIU"),
        ("", "does not tell its version"),
    ],
)
def test_judge_names_what_is_wrong(printed, says):
    assert says in judge(CRUN, printed)


@given(st.tuples(st.integers(0, 9), st.integers(0, 9)), st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_judge_compares_numbers_not_text(minimum, version):
    part = Part(name="x", packages=("x",), minimum=minimum, reason="because")
    assert (judge(part, show(version)) == "") == (version >= minimum)


def test_judge_refuses_what_is_too_new():
    part = Part(name="dockerd", packages=("docker.io",), minimum=(20, 10), below=(20, 11), reason="answers are 20.10's")
    assert judge(part, "Docker version 20.10.24+dfsg1, build 297e128") == ""
    assert judge(part, "Docker version 26.1.5+dfsg1") == "dockerd 26.1.5 is not older than 20.11: answers are 20.10's"
