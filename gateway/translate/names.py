"""Docker's spelling of the contracts' field names: mechanical, but for this one table of exceptions."""

from __future__ import annotations

_IRREGULAR = {
    "aux_addresses": "AuxiliaryAddresses",
    "blkio_device_read_iops": "BlkioDeviceReadIOps",
    "blkio_device_write_iops": "BlkioDeviceWriteIOps",
    "container_id_file": "ContainerIDFile",
    "device_ids": "DeviceIDs",
    "dns_names": "DNSNames",
    "endpoint_id": "EndpointID",
    "global_ipv6_address": "GlobalIPv6Address",
    "global_ipv6_prefix_len": "GlobalIPv6PrefixLen",
    "ip_address": "IPAddress",
    "ip_prefix_len": "IPPrefixLen",
    "ip_range": "IPRange",
    "ipam_config": "IPAMConfig",
    "ipv4_address": "IPv4Address",
    "ipv6_address": "IPv6Address",
    "ipv6_gateway": "IPv6Gateway",
    "link_local_ips": "LinkLocalIPs",
    "network_id": "NetworkID",
    "rw": "RW",
    "uts_mode": "UTSMode",
}


def docker_name(field: str) -> str:
    """`cpu_shares` is `CpuShares`; the exceptions are in the table above."""
    return _IRREGULAR.get(field) or "".join(word.capitalize() for word in field.split("_"))
