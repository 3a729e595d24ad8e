"""Mount options of fstab(5), as flags and data of mount(2)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

RDONLY, NOSUID, NODEV, NOEXEC, SYNCHRONOUS, REMOUNT, MANDLOCK, DIRSYNC = 1, 2, 4, 8, 16, 32, 64, 128
NOATIME, NODIRATIME, BIND, REC, UNBINDABLE, PRIVATE, SLAVE, SHARED, RELATIME, STRICTATIME = (
    1 << 10, 1 << 11, 1 << 12, 1 << 14, 1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 24,
)  # fmt: skip
_SET = {
    "ro": RDONLY, "nosuid": NOSUID, "nodev": NODEV, "noexec": NOEXEC, "sync": SYNCHRONOUS, "mand": MANDLOCK,
    "dirsync": DIRSYNC, "noatime": NOATIME, "nodiratime": NODIRATIME, "bind": BIND, "rbind": BIND | REC,
    "relatime": RELATIME, "strictatime": STRICTATIME,
}  # fmt: skip
_CLEARED = {
    "rw": RDONLY, "suid": NOSUID, "dev": NODEV, "exec": NOEXEC, "async": SYNCHRONOUS, "nomand": MANDLOCK,
    "atime": NOATIME, "diratime": NODIRATIME, "norelatime": RELATIME, "nostrictatime": STRICTATIME,
}  # fmt: skip
_PROPAGATION = {
    "private": PRIVATE, "rprivate": PRIVATE | REC, "slave": SLAVE, "rslave": SLAVE | REC, "shared": SHARED,
    "rshared": SHARED | REC, "unbindable": UNBINDABLE, "runbindable": UNBINDABLE | REC,
}  # fmt: skip


@dataclass(frozen=True)
class MountCall:
    """Arguments of mount(2); `then` are the flags of calls that follow on the mounted target."""

    device: str
    kind: str
    flags: int = 0
    data: str = ""
    then: tuple[int, ...] = ()

    def describe(self, target: str) -> str:
        """The call as dockerd's errors show it, without a password."""
        shown = ",".join(
            "password=********" if option.startswith("password=") else option for option in self.data.split(",")
        )
        flags = f", flags: {self.flags:#x}" if self.flags else ""
        return f"mount {self.device}:{target}{flags}" + (f", data: {shown}" if shown else "")


def plan(options: Mapping[str, str]) -> MountCall:
    """What to mount for the options `type`, `device` and `o` of a volume."""
    flags, propagation, data = 0, 0, []
    for option in options.get("o", "").split(","):
        if option in _SET:
            flags |= _SET[option]
        elif option in _CLEARED:
            flags &= ~_CLEARED[option]
        elif option in _PROPAGATION:
            propagation = _PROPAGATION[option]
        elif option not in ("", "defaults"):
            data.append(option)
    then = []
    if propagation:
        then.append(propagation)
    if flags & BIND and flags & ~(BIND | REC):  # the kernel ignores all else in the call that binds
        then.append(flags & ~REC | REMOUNT)
    kind = options.get("type", "")
    return MountCall(options["device"], "" if kind == "none" else kind, flags, ",".join(data), tuple(then))


def server_to_resolve(call: MountCall) -> str:
    """The host name in `addr=` of a network file system, which the kernel wants as an address; empty: none."""
    if call.kind not in ("nfs", "nfs4", "cifs"):
        return ""
    for option in call.data.split(","):
        name, _, value = option.partition("=")
        if name == "addr" and value:
            try:
                ipaddress.ip_address(value)
            except ValueError:
                return value
    return ""


def with_address(call: MountCall, name: str, address: str) -> MountCall:
    """The call with that server's address in place of its name."""
    data = ",".join(f"addr={address}" if option == f"addr={name}" else option for option in call.data.split(","))
    return MountCall(call.device, call.kind, call.flags, data, call.then)
