from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from shared.cluster import Membership
from shared.errors import FailedPrecondition, InvalidArgument, PermissionDenied, Unavailable
from tools.cluster.provision import Remote, Target, checkout, digest, pack

MEMBERSHIP = Membership(cluster="c1", address="a:7377", hubs=("hub:7377",))


def test_an_address_is_a_host_and_nothing_else() -> None:
    assert Target.parse("ssh://root@host:22") == Target("host", "root", 22)
    assert Target.parse("ssh://host").command("id") == ["ssh", "--", "host", "sh -c id"]
    assert Target.parse("ssh://root@[fe80::1]:22").host == "fe80::1"
    for wrong in ("host", "http://host", "ssh://", "ssh://-oProxyCommand=x", "ssh://-l@host", "ssh://h/path",
                  "ssh://u:secret@h", "ssh://h:x", "ssh://h;reboot"):  # fmt: skip
        with pytest.raises(InvalidArgument, match="no ssh address"):
            Target.parse(wrong)
    for wrong in ("relative/x", "/", "/opt"):
        with pytest.raises(InvalidArgument, match="no folder"):
            Remote(Target("h"), wrong)


def test_a_checkout_is_told_from_another(directory: Path) -> None:
    for name in ("a/one.py", "two", "__pycache__/x.pyc", ".git-like/y"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)
    names = list(checkout(directory))
    assert names == [".git-like/y", "a/one.py", "two"]
    before = digest(directory, names)
    (directory / "two").chmod(0o755)
    assert digest(directory, names) != before
    packed = io.BytesIO()
    pack(directory, names, packed)
    packed.seek(0)
    with tarfile.open(fileobj=packed) as archive:
        assert {(entry.name, entry.mode, entry.uid) for entry in archive} == {
            (".git-like/y", 0o644, 0), ("a/one.py", 0o644, 0), ("two", 0o755, 0),
        }  # fmt: skip


@pytest.fixture
def ssh(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose `ssh` is what the test writes; it gets the options of ssh and then the script."""
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return directory / "ssh"


def says(ssh: Path, script: str) -> None:
    ssh.write_text(f"#!/bin/sh\n{script}\n")
    ssh.chmod(0o755)


def test_what_is_wrong_is_told_with_the_step(ssh: Path) -> None:
    remote = Remote(Target("there"), say=lambda text: None)
    says(ssh, "echo 'Host key verification failed.' >&2; exit 255")
    with pytest.raises(Unavailable, match=r"there: cannot reach it: ssh: Host key verification failed\."):
        remote.check()
    says(ssh, "echo 1000; echo debian 12")
    with pytest.raises(PermissionDenied, match="root is needed"):
        remote.check()
    says(ssh, "echo 0; echo alpine 3")
    with pytest.raises(FailedPrecondition, match="is alpine 3"):
        remote.check()
    says(ssh, "exit 3")
    with pytest.raises(FailedPrecondition, match=r"cannot install the engine: see above \(exit code 3\)"):
        remote.install()
    says(ssh, "case $3 in *tar*) echo 'tar: no space' >&2; exit 2;; esac")
    with pytest.raises(FailedPrecondition, match="cannot copy the checkout: tar: no space"):
        remote.copy()


def test_it_joins_once_and_by_a_token_nobody_sees(ssh: Path) -> None:
    told: list[str] = []
    remote = Remote(Target("there"), say=told.append)
    note = ssh.parent / "note"
    says(ssh, f'case "$3" in *SHOAL_TOKEN*) echo "$3" >{note}; cat >>{note};; esac')
    remote.join(MEMBERSHIP, lambda: "secret", "there:7377")
    words, given = note.read_text().splitlines()
    assert "secret" not in words
    assert "node join hub:7377 --address there:7377" in words
    assert given == "secret"
    says(ssh, "echo c1")
    remote.join(MEMBERSHIP, lambda: pytest.fail("a token is made for nothing"), "there:7377")
    says(ssh, "echo c2")
    with pytest.raises(FailedPrecondition, match="in another cluster"):
        remote.join(MEMBERSHIP, lambda: "secret", "there:7377")
    assert told == ["joining the cluster as there:7377", "it is in this cluster already"]
