"""Which extended attributes an archive may carry."""

from __future__ import annotations

import os

_ACL = ("system.posix_acl_access", "system.posix_acl_default")


def keeps_xattr(name: str) -> bool:
    """Whether an archive may set this attribute: never one that overlayfs or the engine trusts."""
    if name.startswith("user."):
        return not name.startswith("user.overlay.")
    return name == "security.capability" or name in _ACL


def read_xattrs(descriptor: int) -> dict[str, bytes]:
    """Those of an open file or directory; none where its file system has none."""
    try:
        names = os.listxattr(descriptor)
    except OSError:
        return {}
    return {name: os.getxattr(descriptor, name) for name in sorted(names) if keeps_xattr(name)}
