import pytest

from tools.toolchain.debian import (
    DEFAULT_MIRROR,
    FetchError,
    Mirror,
    PrivateApt,
    configuration,
    pick_mirror,
    pick_suite,
    sources,
    unpack,
)
from tools.toolchain.parts import Part

TARGETS = """MetaKey: main/binary-amd64/Packages
Origin: NodeSource
Label: Node Source
Repo-URI: https://deb.example.org/node/

MetaKey: main/binary-amd64/Packages
Origin: Debian
Label: Debian-Security
Repo-URI: http://mirror.example.org/debian-security/

MetaKey: main/binary-amd64/Packages
Origin: Debian
Label: Debian
Repo-URI: http://mirror.example.org/debian/
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""

MADISON = """      crun |     1.28-1 | http://mirror/debian sid/main amd64 Packages
      crun |     1.28-1 | http://mirror/debian forky/main amd64 Packages
      crun |     1.21-1 | http://mirror/debian trixie/main amd64 Packages
    conmon | 2.1.13+ds1-2 | http://mirror/debian forky/main amd64 Packages
    conmon |   2.1.12-4 | http://mirror/debian trixie/main amd64 Packages
      criu |    4.2.1-1 | http://mirror/debian forky/main amd64 Packages
      criu |    4.1.1-1 | http://mirror/debian trixie/main amd64 Packages
"""


def part(name: str, *minimum: int) -> Part:
    return Part(name=name, packages=(name,), minimum=minimum, reason="")


def test_the_mirror_is_debians_own_of_this_machine():
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    assert pick_mirror(TARGETS) == Mirror("http://mirror.example.org/debian/", keyring)


def test_without_a_debian_source_the_public_mirror_is_taken():
    assert pick_mirror("") == Mirror(DEFAULT_MIRROR)


@pytest.mark.parametrize(
    ("parts", "suite"),
    [
        ([part("crun", 1, 20)], "trixie"),
        ([part("crun", 1, 27)], "forky"),
        ([part("conmon", 2, 1, 12), part("criu", 4, 2)], "forky"),
        ([part("criu", 5, 0)], None),
        ([part("unheard-of", 1)], None),
    ],
)
def test_the_oldest_suite_that_has_everything_is_taken(parts, suite):
    assert pick_suite(parts, MADISON) == suite


def test_a_suite_whose_version_is_too_new_is_not_taken():
    below = Part(name="crun", packages=("crun",), minimum=(1, 20), below=(1, 22), reason="")
    assert pick_suite([below], MADISON, ("sid", "trixie")) == "trixie"
    assert pick_suite([below], MADISON, ("sid",)) is None


def test_sources_name_the_keyring_only_when_there_is_one():
    assert "Signed-By" not in sources(Mirror("http://m"), ["sid"], "arm64")
    assert "Signed-By: /k\n" in sources(Mirror("http://m", "/k"), ["sid"], "arm64")


def test_all_of_apts_folders_are_below_the_private_root(tmp_path):
    lines = [line for line in configuration(tmp_path).splitlines() if line.startswith("Dir::")]
    assert lines
    assert all(str(tmp_path) in line or "/dev/null" in line for line in lines)


def test_unpacking_something_else_says_what_failed(tmp_path):
    (broken := tmp_path / "x.deb").write_text("no archive")
    with pytest.raises(FetchError, match=r"dpkg-deb -x .*x\.deb"):
        unpack(broken, tmp_path / "out")


def test_a_root_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "sources").mkdir()
    with pytest.raises(FileExistsError):
        PrivateApt(tmp_path).fetch([part("crun", 1)])
