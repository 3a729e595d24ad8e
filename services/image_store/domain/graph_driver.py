"""The `GraphDriver` of `docker image inspect` and `docker inspect`, as Docker's overlay2 driver names things."""

from __future__ import annotations

from collections.abc import Iterable

from shared.contracts.common import Mount


def graph_driver(directories: tuple[str, ...]) -> dict[str, str]:
    """From the folders of an image's layers, top first; empty for an image without layers."""
    if not directories:
        return {}
    top, *below = directories
    data = {"MergedDir": f"{top}/merged", "UpperDir": f"{top}/diff", "WorkDir": f"{top}/work"}
    if below:
        data["LowerDir"] = ":".join(f"{each}/diff" for each in below)
    return data


def of_snapshot(mounts: Iterable[Mount]) -> dict[str, str]:
    """From a snapshot's overlay mount: where its parts are, and where it would be merged."""
    options = dict(option.partition("=")[::2] for mount in mounts for option in mount.options)
    upper = options.get("upperdir", "")
    return {
        "LowerDir": options.get("lowerdir", ""),
        "MergedDir": f"{upper.rpartition('/')[0]}/merged",
        "UpperDir": upper,
        "WorkDir": options.get("workdir", ""),
    }
