from shared.config import Settings
from shared.contracts.common import Platform
from tools.doctor.emulation import check, judge_platforms
from tools.doctor.findings import Level

AMD, ARM = Platform(), Platform(architecture="arm64")


def test_what_runs_here():
    (found,) = check(Settings())
    assert (found.level, found.subject) == (Level.OK, "platforms")
    assert "linux/" in found.text


def test_both_kinds_are_told_or_how_to_get_the_second():
    assert judge_platforms([AMD], [ARM]).text == "linux/amd64; by emulation linux/arm64"
    assert judge_platforms([AMD], []).text == (
        "linux/amd64; for others install qemu-user-static or run deploy/up --emulation"
    )
