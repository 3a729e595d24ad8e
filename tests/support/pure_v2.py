"""A host of cgroup v2 alone, made of a hybrid one: the same machine in a mount namespace without its v1 hierarchies.

Controllers stay with v1, so nothing can be limited or counted there. What else differs between the two kinds of hosts
is the same as on a pure one: joining, freezing, killing, device rules, namespaces, checkpoints. As in Debian's /run
nothing can be executed where the tests' engines have their folders, in /tmp.
"""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
UNIFIED = Path("/sys/fs/cgroup/unified")
_PREPARE = (
    f"mount --make-rprivate / && mount --bind {UNIFIED} /mnt && umount --lazy {UNIFIED.parent} && "
    f"mount --move /mnt {UNIFIED.parent} && mount --bind /tmp /tmp && mount -o remount,bind,noexec /tmp && "
    f"mount --bind {CHECKOUT} {CHECKOUT} && mount -o remount,bind,exec {CHECKOUT} && "  # it may be in /tmp
    'exec "$@"'
)


def command(*words: str) -> list[str]:
    """What runs a command there; on a host without v1 the command itself."""
    if not UNIFIED.is_dir():
        return list(words)
    return ["unshare", "--mount", "sh", "-c", _PREPARE, "sh", *words]
