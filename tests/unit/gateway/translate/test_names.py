from __future__ import annotations

import pytest

from gateway.translate.names import docker_name


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("cpu_shares", "CpuShares"),
        ("dns", "Dns"),
        ("host_ip", "HostIp"),
        ("cpuset_cpus", "CpusetCpus"),
        ("uts_mode", "UTSMode"),
        ("ip_prefix_len", "IPPrefixLen"),
        ("blkio_device_read_iops", "BlkioDeviceReadIOps"),
        ("container_id_file", "ContainerIDFile"),
    ],
)
def test_names(field: str, name: str) -> None:
    assert docker_name(field) == name
