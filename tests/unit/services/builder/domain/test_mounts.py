from __future__ import annotations

import pytest

from services.builder.domain import mounts
from services.builder.domain.mounts import Mount
from shared.errors import InvalidArgument


def read(text: str) -> Mount:
    return mounts.parse(text, lambda word: word.replace("$X", "expanded"))


def test_kinds() -> None:
    bind = read("target=/x,source=$X,from=stage")
    assert (bind.type, bind.source, bind.from_, bind.writable) == ("bind", "expanded", "stage", False)
    assert read("target=/x,rw").writable
    cache = read("type=cache,target=/x,id=i,sharing=locked,mode=0700,uid=1,gid=2")
    assert (cache.writable, cache.mode, cache.uid, cache.gid, cache.sharing) == (True, 0o700, 1, 2, "locked")
    assert not read("type=cache,target=/x,ro").writable
    assert read("type=tmpfs,dst=/x,size=1.5k").size == 1536


def test_secrets() -> None:
    assert (read("type=secret,id=a").secret, read("type=secret,id=a").place) == ("a", "/run/secrets/a")
    assert (read("type=secret,target=/etc/b").secret, read("type=secret,target=/etc/b").place) == ("b", "/etc/b")
    assert read("type=secret,id=a,env=A").place == ""
    assert read("type=secret,id=a,required").required


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("type=x,target=/a", 'unsupported mount type "x"'),
        ("target", "invalid field 'target' must be a key=value pair"),
        ("foo=1,target=/a", "unexpected key 'foo' in 'foo=1'"),
        ("size=1,target=/a", "unexpected key 'size' for mount type 'bind'"),
        ("type=tmpfs,target=/a,mode=7", 'mode not allowed for "tmpfs" type mounts'),
        ("type=secret", "one of source, target required"),
        ("target=/a,sharing=locked", "invalid cache sharing set for bind mount"), ("type=bind", "target is required"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("target=/a,ro=x", "invalid value for ro: x"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=tmpfs,target=/a,size=x", "invalid value for size: x"),
        ("type=cache,target=/a,mode=9", "invalid value 9 for mode"),
        ("type=cache,target=/a,uid=x", "invalid value x for uid"),
        ("type=cache,target=/a,sharing=x", 'unsupported sharing value "x"'),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, why: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        read(text)
    assert why in caught.value.message
