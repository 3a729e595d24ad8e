"""What an exec runs, from its workload's configuration and the users of its root. Blocking."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from shared.contracts.platform import ExecRequest
from shared.errors import Conflict

from ..domain.facts import Facts
from ..domain.joining import Config
from ..domain.process import exec_process
from ..domain.users import Ids
from . import rootfs


class Prepared(msgspec.Struct):
    """`spec` is the exec's `process`, which lies in its folder as process.json; it runs as `ids`."""

    config: Config
    spec: dict[str, Any]
    ids: Ids


def prepare(folder: Path, request: ExecRequest, bundle: Path, first: int, facts: Facts) -> Prepared:
    """Makes the exec's folder. Users are those of the root that the process `first` sees.

    `InvalidArgument` for a user who is not there, `Conflict` when the process has ended.
    """
    config = msgspec.json.decode((bundle / "config.json").read_bytes(), type=Config)
    try:
        root = rootfs.open_root(Path(f"/proc/{first}/root"))
    except OSError:
        raise Conflict(f"Container {request.id} is not running") from None
    try:
        ids = rootfs.lookup(root, request.process.user, request.process.group_add)
    finally:
        os.close(root)
    spec = exec_process(request.process, config.process, ids, facts)
    folder.mkdir(mode=0o700)
    (folder / "process.json").write_bytes(msgspec.json.encode(spec))
    return Prepared(config, spec, ids)
