from __future__ import annotations

import pytest

from services.builder.domain.copying import Owner
from services.builder.domain.users import owner
from shared.errors import InvalidArgument

PASSWD, GROUP = b"root:x:0:0::\nalice:x:1000:7::\n", b"root:x:0:\nalice:x:1001:\nstaff:x:50:\n"


@pytest.mark.parametrize(
    ("chown", "uid", "gid"),
    [("alice", 1000, 1001), ("alice:staff", 1000, 50), ("5", 5, 5), ("5:staff", 5, 50), ("alice:9", 1000, 9)],
)
def test_owners(chown: str, uid: int, gid: int) -> None:
    assert owner(chown, PASSWD, GROUP) == Owner(uid, gid)


@pytest.mark.parametrize(
    ("chown", "why"),
    [("bob", "no such user: bob"), ("alice:x", "no such group: x"), ("a:b:c", "invalid chown string format: a:b:c"),
     ("9999999999", "must be in range")],
)  # fmt: skip
def test_nobody(chown: str, why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        owner(chown, PASSWD, GROUP)
