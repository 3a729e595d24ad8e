"""The `GraphDriver` of `docker image inspect` and `docker inspect`, as Docker's overlay2 driver names things."""

from __future__ import annotations


def graph_driver(directories: tuple[str, ...]) -> dict[str, str]:
    """From the folders of an image's layers, top first; empty for an image without layers."""
    if not directories:
        return {}
    top, *below = directories
    data = {"MergedDir": f"{top}/merged", "UpperDir": f"{top}/diff", "WorkDir": f"{top}/work"}
    if below:
        data["LowerDir"] = ":".join(f"{each}/diff" for each in below)
    return data
