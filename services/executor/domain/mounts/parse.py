"""`-v` and `--mount` as dockerd reads them on Linux."""

from __future__ import annotations

import posixpath
from collections.abc import Callable

import msgspec

from shared.contracts.container import BindOptions, MountPoint, MountRequest, TmpfsOptions, VolumeOptions
from shared.errors import InvalidArgument

PROPAGATIONS = frozenset({"private", "rprivate", "slave", "rslave", "shared", "rshared"})
_CLASSES = (
    frozenset({"rw", "ro"}),
    frozenset({"z", "Z"}),
    PROPAGATIONS,
    frozenset({"nocopy"}),
    frozenset({"default", "consistent", "cached", "delegated"}),
)


def valid_mode(mode: str) -> bool:
    """At most one word of each class: access, label, propagation, copying, consistency."""
    words = mode.split(",") if mode else []
    return all(any(w in c for c in _CLASSES) for w in words) and all(sum(w in c for w in words) <= 1 for c in _CLASSES)


def is_writable(mode: str) -> bool:
    """Whether a mode allows writing; an invalid one does not."""
    return valid_mode(mode) and "ro" not in mode.split(",")


def parse_bind(raw: str, volume_driver: str) -> MountPoint:
    """A `-v` value `[SOURCE:]TARGET[:MODE]`; the source is a host path or a volume's name."""
    source, target, mode = _split(raw)
    if not valid_mode(mode):
        raise InvalidArgument(f"invalid mode: {mode}")
    kind = "bind" if source.startswith("/") else "volume"
    words = mode.split(",")
    volume_options = None
    if (volume_driver and kind == "volume") or "nocopy" in words:
        driver = volume_driver if kind == "volume" else ""
        volume_options = VolumeOptions(driver_name=driver, no_copy="nocopy" in words)
    propagation = next((word for word in words if word in PROPAGATIONS), "")
    request = MountRequest(
        type=kind,
        source=source,
        target=target,
        read_only=not is_writable(mode),
        volume_options=volume_options,
        bind_options=BindOptions(propagation=propagation) if propagation else None,
    )
    try:
        check_mount(request, exists=None)
    except InvalidArgument as error:
        raise InvalidArgument(f"{_invalid_spec(raw)}: {error.message}") from None
    return msgspec.structs.replace(parse_mount(request), mode=mode)


def _split(raw: str) -> tuple[str, str, str]:
    parts = raw.split(":", 3)
    if not parts[0] or len(parts) > 3 or (len(parts) == 2 and valid_mode(parts[1])):
        raise InvalidArgument(_invalid_spec(raw))
    if len(parts) == 1:
        return "", parts[0], ""
    return parts[0], parts[1], parts[2] if len(parts) == 3 else ""


def _invalid_spec(raw: str) -> str:
    return f"invalid volume specification: '{raw}'"


def parse_mount(request: MountRequest) -> MountPoint:
    """A checked `--mount` as a mount point without its host side yet."""
    point = MountPoint(
        type=request.type,
        destination=posixpath.normpath(request.target.replace("\\", "/")),
        rw=not request.read_only,
        spec=request,
    )
    if request.type == "volume":
        options = request.volume_options or VolumeOptions()
        return msgspec.structs.replace(
            point, name=request.source, driver=options.driver_name, copy_up=not options.no_copy
        )
    if request.type == "bind":
        wanted = request.bind_options.propagation if request.bind_options else ""
        return msgspec.structs.replace(
            point, source=posixpath.normpath(request.source), propagation=wanted or "rprivate"
        )
    if request.type == "image":
        return msgspec.structs.replace(point, name=request.source, rw=False)
    return point


def check_mount(request: MountRequest, exists: Callable[[str], bool] | None) -> None:
    """Raises `InvalidArgument`. `exists` tells whether a bind's source is there; None: not asked (`-v` makes it)."""
    problem = _target_problem(request.target) or _CHECKS.get(request.type, _unknown)(request)
    if not problem and request.type == "bind" and exists is not None:
        problem = _source_problem(request, exists)
    if problem:
        raise InvalidArgument(f'invalid mount config for type "{request.type}": {problem}')


def _target_problem(target: str) -> str:
    if not target:
        return "field Target must not be empty"
    return path_problem(target)


def path_problem(target: str) -> str:
    """Why nothing can be mounted at `target` inside a container, in Docker's words; empty: it can."""
    path = target.replace("\\", "/")
    if posixpath.normpath(path) in ("/", "//"):
        return "invalid specification: destination can't be '/'"
    return _absolute_problem(target)


def _absolute_problem(path: str) -> str:
    if "\0" in path:
        return "invalid mount path: it must not contain NUL bytes"
    if path.replace("\\", "/").startswith("/"):
        return ""
    return f"invalid mount path: '{path}' mount path must be absolute"


def check_tmpfs_target(target: str) -> None:
    """Raises `InvalidArgument` for a `--tmpfs` that is not an absolute path below the root."""
    problem = path_problem(target)
    if problem:
        raise InvalidArgument(problem)


def _unknown(_request: MountRequest) -> str:
    return "mount type unknown"


def _bind(request: MountRequest) -> str:
    options = request.bind_options
    if not request.source:
        return "field Source must not be empty"
    if options and options.propagation and options.propagation not in PROPAGATIONS:
        return f"invalid propagation mode: {options.propagation}"
    if options and not request.read_only and options.read_only_non_recursive:
        return "mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive"
    if options and not request.read_only and options.read_only_force_recursive:
        return "mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive"
    if options and options.read_only_non_recursive and options.read_only_force_recursive:
        return "mount options conflict: ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive"
    if request.volume_options:
        return "field VolumeOptions must not be specified"
    return _absolute_problem(request.source)


def _source_problem(request: MountRequest, exists: Callable[[str], bool]) -> str:
    made = request.bind_options is not None and request.bind_options.create_mountpoint
    if made or exists(request.source):
        return ""
    return f"bind source path does not exist: {request.source}"


def _volume(request: MountRequest) -> str:
    if request.bind_options:
        return "field BindOptions must not be specified"
    anonymous = not request.source
    subpath = request.volume_options.subpath if request.volume_options else ""
    if subpath and anonymous:
        return "must not set Subpath when using anonymous volumes"
    if subpath and not _is_local(subpath):
        return "subpath must be a relative path within the volume"
    if request.read_only and anonymous:
        return "must not set ReadOnly mode when using anonymous volumes"
    return ""


def _is_local(path: str) -> bool:
    cleaned = posixpath.normpath(path)
    return not path.startswith("/") and cleaned != ".." and not cleaned.startswith("../")


def _tmpfs(request: MountRequest) -> str:
    if request.bind_options:
        return "field BindOptions must not be specified"
    if request.source:
        return "field Source must not be specified"
    for option in request.tmpfs_options.options if request.tmpfs_options else ():
        if not 1 <= len(option) <= 2:
            return "invalid option array length"
        if option[0] not in ("exec", "noexec"):
            return f"invalid option: {option[0]}"
    return ""


def _image(request: MountRequest) -> str:
    if not request.source:
        return "field Source must not be empty"
    if request.bind_options:
        return "field BindOptions must not be specified"
    if request.volume_options:
        return "field VolumeOptions must not be specified"
    if request.image_options and request.image_options.subpath and not _is_local(request.image_options.subpath):
        return "subpath must be a relative path within the image"
    return ""


_CHECKS: dict[str, Callable[[MountRequest], str]] = {
    "bind": _bind,
    "volume": _volume,
    "tmpfs": _tmpfs,
    "image": _image,
}


def tmpfs_data(options: TmpfsOptions | None, read_only: bool) -> str:
    """Mount data of a `--mount type=tmpfs`: `ro,mode=700,size=64m`."""
    words = ["ro"] if read_only else []
    if options and options.mode:
        words.append(f"mode={options.mode:o}")
    if options and options.size_bytes:
        words.append(f"size={_size(options.size_bytes)}")
    words += ["=".join(option) for option in (options.options if options else ())]
    return ",".join(words)


def _size(size: int) -> str:
    for suffix, unit in (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)):
        if size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


def parse_volumes_from(text: str) -> tuple[str, str]:
    """Container and mode of a `--volumes-from` value."""
    if not text:
        raise InvalidArgument("volumes-from specification cannot be an empty string")
    name, _, mode = text.partition(":")
    words = mode.split(",")
    if mode and (not valid_mode(mode) or PROPAGATIONS & set(words) or "nocopy" in words):
        raise InvalidArgument(f"invalid mode: {mode}")
    return name, mode or "rw"
