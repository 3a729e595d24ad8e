"""Which platforms need an emulator on a host, and how the kernel is told of one (binfmt_misc). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shared.contracts.common import Platform

PREFIX = "shoal-"
"""What the engine registers is named by the engine: entries of others are never touched."""
FLAGS = "POCF"
"""P: the program sees its own argv[0]; O, C: the kernel opens it, with its set-user-id bit; F: the emulator is opened
now, so that it is there in every root file system."""
_NATIVE = {"amd64": ("amd64", "386"), "arm64": ("arm64", "arm"), "ppc64le": ("ppc64le",), "s390x": ("s390x",)}


@dataclass(frozen=True)
class Emulator:
    """One architecture's programs: by their ELF header, and the name that QEMU has for it."""

    architecture: str
    qemu: str
    bits: int
    machine: int
    big: bool = False

    @property
    def entry(self) -> str:
        """The name it is registered by."""
        return PREFIX + self.qemu

    @property
    def magic(self) -> bytes:
        """The first 20 bytes of its programs: class, byte order, version 1, any ABI, ET_EXEC, machine."""
        order = "big" if self.big else "little"
        identity = b"\x7fELF" + bytes((self.bits // 32, 2 if self.big else 1, 1)) + bytes(9)
        return identity + (2).to_bytes(2, order) + self.machine.to_bytes(2, order)  # type: ignore[arg-type]

    @property
    def mask(self) -> bytes:
        """What of the magic counts: all but the ABI, and ET_DYN is as good as ET_EXEC."""
        kind = b"\xff\xfe" if self.big else b"\xfe\xff"
        return b"\xff" * 7 + b"\x00" + b"\xff" * 8 + kind + b"\xff\xff"

    def line(self, interpreter: str) -> bytes:
        """What is written to `register`."""
        magic, mask = (b"".join(b"\\x%02x" % byte for byte in value) for value in (self.magic, self.mask))
        return b":%s:M::%s:%s:%s:%s" % (self.entry.encode(), magic, mask, interpreter.encode(), FLAGS.encode())

    def is_served_by(self, text: str) -> bool:
        """Whether an entry, as its file shows it, runs these programs in every root file system."""
        lines = text.splitlines()
        values = dict(line.partition(" ")[::2] for line in lines)
        if lines[:1] != ["enabled"] or "F" not in values.get("flags:", "") or values.get("offset") != "0":
            return False
        try:
            magic = bytes.fromhex(values.get("magic", ""))
            mask = bytes.fromhex(values.get("mask", "ff" * len(magic)))
        except ValueError:
            return False
        if not magic or len(magic) != len(mask) or len(magic) > len(self.magic):
            return False
        header = zip(self.magic, magic, mask, strict=False)
        return all(have & counts == wants & counts for have, wants, counts in header)


EMULATORS = {
    each.architecture: each
    for each in (
        Emulator("386", "i386", 32, 3),
        Emulator("amd64", "x86_64", 64, 62),
        Emulator("arm", "arm", 32, 40),
        Emulator("arm64", "aarch64", 64, 183),
        Emulator("loong64", "loongarch64", 64, 258),
        Emulator("mips64le", "mips64el", 64, 8),
        Emulator("ppc64le", "ppc64le", 64, 21),
        Emulator("riscv64", "riscv64", 64, 243),
        Emulator("s390x", "s390x", 64, 22, big=True),
    )
}


def native(architecture: str) -> tuple[Platform, ...]:
    """What a host of this architecture runs by itself."""
    return tuple(Platform(architecture=each) for each in _NATIVE.get(architecture, (architecture,)))


def describe(platform: Platform) -> str:
    """`linux/arm/v7`, as `--platform` takes it."""
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)


def cannot_run(platform: Platform, host: str, why: str) -> str:
    """What a user is told whose container cannot run here."""
    return f"the image is for {describe(platform)}, which this host (linux/{host}) runs only by emulation: {why}"


INSTALL = "install qemu-user-static or run deploy/up --emulation"
