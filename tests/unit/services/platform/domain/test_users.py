"""Looking up users: Docker's rules and texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.domain.users import HIGHEST, Ids, resolve
from shared.errors import InvalidArgument

PASSWD = """\
# comment
root:x:0:0:root:/root:/bin/sh
alice:x:1000:1000::/home/alice:/bin/sh

broken line
numbers:x:abc:1
7:x:70:71::/home/seven:/bin/sh
short:x:80:81
"""
GROUP = "root:x:0:\nalice:x:1000:\nstaff:x:50:alice, bob\naudio:x:29:alice\nbad:x:y:alice\n"


def look(user: str, *add: str) -> Ids:
    return resolve(user, add, PASSWD, GROUP)


def test_nobody_named_is_root() -> None:
    assert look("") == Ids(0, 0, (0,), "/root")


def test_a_name_brings_its_groups() -> None:
    assert look("alice") == Ids(1000, 1000, (1000, 50, 29), "/home/alice")


def test_a_group_that_is_named_is_the_only_one() -> None:
    assert look("alice:staff") == Ids(1000, 50, (50,), "/home/alice")
    assert look("alice:0").groups == (0,)


def test_a_number_with_an_entry_is_that_user() -> None:
    assert look("1000") == look("alice")


def test_a_number_without_entry_is_taken_as_it_is() -> None:
    assert look("1234:56") == Ids(1234, 56, (56,), "/")
    assert look("4242") == Ids(4242, 0, (0,), "/")


def test_a_numeric_name_is_a_number() -> None:
    assert look("7").uid == 7


def test_an_entry_may_lack_its_last_fields() -> None:
    assert look("short") == Ids(80, 81, (81,), "/")


def test_groups_are_added_once() -> None:
    assert look("alice", "staff", "77", "77").groups == (1000, 50, 29, 77)


def test_what_follows_the_group_counts_for_nothing() -> None:
    assert resolve("1:2:3", (), PASSWD, GROUP) == resolve("1:2", (), PASSWD, GROUP)


@pytest.mark.parametrize(
    ("user", "add", "text"),
    [
        ("bob", (), "unable to find user bob: no matching entries in passwd file"),
        ("alice:bobs", (), "unable to find group bobs: no matching entries in group file"),
        ("99999999999", (), "uids and gids must be in range 0-2147483647"),
        ("0:99999999999", (), "uids and gids must be in range 0-2147483647"),
        ("-1", (), "uids and gids must be in range 0-2147483647"),
        ("", ("nope",), "Unable to find group nope: no matching entries in group file"),
    ],
)
def test_refusals_are_dockers(user: str, add: tuple[str, ...], text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        resolve(user, add, PASSWD, GROUP)
    assert caught.value.message == text


@given(st.text(max_size=300), st.text(max_size=300), st.text(alphabet="abc:0159-", max_size=12))
def test_whatever_the_files_hold_the_answer_is_in_range_or_a_refusal(passwd: str, group: str, user: str) -> None:
    try:
        ids = resolve(user, (), passwd, group)
    except InvalidArgument:
        return
    assert ids.groups[0] == ids.gid


@given(st.integers(0, HIGHEST), st.integers(0, HIGHEST))
def test_numbers_need_no_files(uid: int, gid: int) -> None:
    assert resolve(f"{uid}:{gid}", (), "", "") == Ids(uid, gid, (gid,), "/")
