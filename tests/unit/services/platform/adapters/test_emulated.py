from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services.platform.adapters import emulated
from services.platform.adapters.emulated import FOLDERS, Emulated, is_static
from services.platform.domain.emulation import EMULATORS
from shared.contracts.common import Platform
from shared.errors import InvalidArgument
from tests.support.platform_host import Host
from tests.support.platforms import program_of

ARM = Platform(architecture="arm64")
QEMU = Path("/usr/bin/qemu-aarch64-static")


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like binfmt_misc; what is written to `register` becomes no entry."""
    folder = tmp_path / "binfmt_misc"
    folder.mkdir()
    (folder / "register").write_text("")
    (folder / "status").write_text("enabled\n")
    monkeypatch.setattr(emulated, "HOSTS", folder)
    return folder


def refusal(adapter: Emulated, platform: Platform) -> str:
    with pytest.raises(InvalidArgument) as refused:
        adapter.prepare(platform)
    return refused.value.message


def served(architecture: str) -> str:
    each = EMULATORS[architecture]
    return f"enabled\ninterpreter /x\nflags: F\noffset 0\nmagic {each.magic.hex()}\nmask {each.mask.hex()}\n"


def test_an_entry_of_somebody_else_is_used_as_it_is(entries: Path, tmp_path: Path) -> None:
    (entries / "qemu-aarch64").write_text(served("arm64"))
    Emulated("amd64", tmp_path, folders=str(tmp_path)).prepare(ARM)
    assert (entries / "register").read_text() == ""
    assert Emulated("amd64", tmp_path, folders=str(tmp_path)).platforms() == (ARM,)


def test_without_an_emulator_it_says_what_to_install(entries: Path, tmp_path: Path) -> None:
    told = refusal(Emulated("amd64", tmp_path, folders=str(tmp_path)), ARM)
    assert told.endswith("runs only by emulation: install qemu-user-static or run deploy/up --emulation")
    assert refusal(Emulated("amd64", tmp_path), Platform(architecture="pdp11")).endswith("no emulator for it is known")


def test_what_the_kernel_does_not_take(entries: Path, tmp_path: Path) -> None:
    assert "binfmt_misc does not take /usr/bin/qemu-aarch64-static" in refusal(Emulated("amd64", tmp_path), ARM)
    (entries / "status").write_text("disabled\n")
    assert "binfmt_misc is disabled" in refusal(Emulated("amd64", tmp_path), ARM)


def test_only_static_programs_serve(entries: Path, tmp_path: Path) -> None:
    assert is_static(str(QEMU))
    assert not is_static("/usr/bin/env")
    assert not is_static("/etc/passwd")
    assert not is_static(str(tmp_path / "none"))
    shutil.copy("/usr/bin/env", tmp_path / "qemu-aarch64-static")
    assert "install" in refusal(Emulated("amd64", tmp_path, folders=str(tmp_path)), ARM)


def test_the_platforms_that_have_an_emulator(tmp_path: Path) -> None:
    found = {each.architecture for each in Emulated("amd64", tmp_path, FOLDERS).platforms()}
    assert {"arm64", "arm", "riscv64", "s390x", "ppc64le"} <= found
    assert not {"amd64", "386"} & found


async def test_programs_of_another_platform_run(host: Host) -> None:
    shutil.copy(program_of("arm64"), host.directory / "root/bin/uname")
    (host.directory / "root/bin/uname").chmod(0o755)
    assert await host.output("uname", "-m", platform=ARM) == b"aarch64\n"
