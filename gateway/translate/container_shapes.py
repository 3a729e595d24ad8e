"""Shapes of what a container is made of: where Docker's JSON is irregular, it is said here."""

from __future__ import annotations

from typing import Any

from shared.contracts.container import (
    BindOptions,
    ContainerConfig,
    DeviceMapping,
    DeviceRequest,
    EndpointIPAMConfig,
    EndpointSettings,
    Healthcheck,
    HostConfig,
    ImageOptions,
    LogConfig,
    MountPoint,
    MountRequest,
    PortBinding,
    Resources,
    RestartPolicy,
    ThrottleDevice,
    TmpfsOptions,
    Ulimit,
    VolumeOptions,
    WeightDevice,
)

from .shape import Shape


def _string_or_list(value: Any) -> Any:
    """A command may be one string (Go's `strslice`)."""
    return [value] if isinstance(value, str) else value


def _driver_out(options: dict[str, Any]) -> dict[str, Any]:
    name, driver_options = options.pop("DriverName", ""), options.pop("DriverOptions", None)
    if name or driver_options:
        options["DriverConfig"] = {
            **({"Name": name} if name else {}),
            **({"Options": driver_options} if driver_options else {}),
        }
    return options


class _VolumeOptionsShape(Shape[VolumeOptions]):
    """`DriverConfig {Name, Options}` is flat in the contract."""

    def dump(self, value: VolumeOptions) -> dict[str, Any]:
        return _driver_out(super().dump(value))

    def fields(self, data: object) -> Any:
        if isinstance(data, dict):
            lower = {key.lower(): key for key in data}
            driver = data.get(lower.get("driverconfig", ""))
            if isinstance(driver, dict):
                inner = {key.lower(): value for key, value in driver.items()}
                data = {**data, "DriverName": inner.get("name"), "DriverOptions": inner.get("options")}
        return super().fields(data)


VOLUME_OPTIONS = _VolumeOptionsShape(
    VolumeOptions, "VolumeOptions", omit="no_copy labels driver_name driver_options subpath"
)
BIND_OPTIONS = Shape(
    BindOptions,
    "BindOptions",
    omit="propagation non_recursive create_mountpoint read_only_non_recursive read_only_force_recursive",
)
TMPFS_OPTIONS = Shape(TmpfsOptions, "TmpfsOptions", omit="size_bytes mode options")
IMAGE_OPTIONS = Shape(ImageOptions, "ImageOptions", omit="subpath")
MOUNT_REQUEST = Shape(
    MountRequest,
    "Mount",
    omit="type source target read_only consistency bind_options volume_options tmpfs_options image_options",
    shapes={
        VolumeOptions: VOLUME_OPTIONS,
        BindOptions: BIND_OPTIONS,
        TmpfsOptions: TMPFS_OPTIONS,
        ImageOptions: IMAGE_OPTIONS,
    },
)
HEALTHCHECK = Shape(Healthcheck, "Healthcheck", omit="test interval timeout start_period start_interval retries")
CONFIG = Shape(
    ContainerConfig,
    "Config",
    omit="exposed_ports healthcheck args_escaped network_disabled mac_address stop_signal stop_timeout shell",
    null="env",
    inward={"cmd": _string_or_list, "entrypoint": _string_or_list, "shell": _string_or_list},
    shapes={Healthcheck: HEALTHCHECK},
)
ENDPOINT_IPAM = Shape(EndpointIPAMConfig, "IPAMConfig", omit="ipv4_address ipv6_address link_local_ips")
ENDPOINT = Shape(
    EndpointSettings,
    "EndpointSettings",
    shapes={EndpointIPAMConfig: ENDPOINT_IPAM},
)
PORT_BINDING = Shape(PortBinding, "PortBinding")
RESTART_POLICY = Shape(RestartPolicy, "RestartPolicy")
_OF_RESOURCES: dict[type, Shape[Any]] = {
    DeviceMapping: Shape(DeviceMapping, "Device"),
    DeviceRequest: Shape(DeviceRequest, "DeviceRequest", null="device_ids capabilities options"),
    ThrottleDevice: Shape(ThrottleDevice, "ThrottleDevice"),
    Ulimit: Shape(Ulimit, "Ulimit"),
    WeightDevice: Shape(WeightDevice, "WeightDevice"),
}
RESOURCES = Shape(Resources, "UpdateConfig", shapes=_OF_RESOURCES)
HOST_CONFIG = Shape(
    HostConfig,
    "HostConfig",
    omit="annotations mounts storage_opt tmpfs sysctls init",
    null=(
        "binds volumes_from cap_add cap_drop extra_hosts group_add links security_opt "
        "device_cgroup_rules device_requests oom_kill_disable"
    ),
    shapes={
        **_OF_RESOURCES,
        LogConfig: Shape(LogConfig, "LogConfig"),
        MountRequest: MOUNT_REQUEST,
        PortBinding: PORT_BINDING,
        RestartPolicy: RESTART_POLICY,
    },
)
MOUNT_POINT = Shape(MountPoint, "MountPoint", omit="name driver")
