from __future__ import annotations

import pytest

from gateway.http.version import Version
from gateway.translate import system
from shared.config import Settings
from shared.contracts.common import Platform
from shared.contracts.platform import HostInfo

HOST = HostInfo(
    platform=Platform(),
    kernel_version="6.1.0",
    operating_system="Debian",
    os_version="12",
    cpus=2,
    memory_bytes=5,
    cgroup_version="2",
    runtimes={"crun": "/usr/bin/crun"},
    runtime_version="crun version 1.21\ncommit: x",
    monitor_version="conmon version 2.1.12",
    features={"memory_limit": True},
)


def info(minor: int) -> dict[str, object]:
    return system.info(
        Settings(labels={"a": "b"}), "node", HOST, ["running", "paused", "exited", "restarting"], 3, Version(1, minor)
    )


def test_version_names_the_parts() -> None:
    data = system.version(HOST)
    assert [(part["Name"], part["Version"]) for part in data["Components"]] == [
        ("Engine", data["Version"]),
        ("crun", "1.21"),
        ("conmon", "2.1.12"),
    ]
    assert (data["ApiVersion"], data["MinAPIVersion"], data["Arch"]) == ("1.51", "1.24", "amd64")


def test_info_counts_containers_by_state() -> None:
    data = info(51)
    assert [data[f"Containers{state}"] for state in ("", "Running", "Paused", "Stopped")] == [4, 2, 1, 1]
    assert (data["Images"], data["Labels"], data["MemoryLimit"], data["SwapLimit"]) == (3, ["a=b"], True, False)
    assert (data["Architecture"], data["NCPU"], data["ID"]) == ("x86_64", 2, "node")


def test_info_tells_the_proxies_but_nobodys_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy:3128/x")
    monkeypatch.setenv("NO_PROXY", "localhost,10.0.0.0/8")
    data = info(51)
    assert [data[name] for name in ("HttpProxy", "HttpsProxy", "NoProxy")] == [
        "http://proxy:3128", "http://xxxxx:xxxxx@proxy:3128/x", "localhost,10.0.0.0/8",
    ]  # fmt: skip


def test_info_tells_what_the_process_does() -> None:
    busy = system.Activity(descriptors=9, tasks=4, listeners=2)
    data = system.info(Settings(), "node", HOST, [], 0, Version(1, 51), busy)
    assert (data["NFd"], data["NGoroutines"], data["NEventsListener"]) == (9, 4, 2)


def test_tcp_addresses_that_anybody_may_use_are_warned_of() -> None:
    hosts = ("tcp://0.0.0.0:2375", "unix:///x")
    [open_to_all] = system.open_addresses(Settings(hosts=hosts))
    assert open_to_all.startswith("[DEPRECATION NOTICE]: API is accessible on http://0.0.0.0:2375 without encryption.")
    [unverified] = system.open_addresses(Settings(hosts=hosts, tls_cert="c"))
    assert "https://0.0.0.0:2375 without TLS client verification." in unverified
    assert system.open_addresses(Settings(hosts=hosts, tls_cert="c", tls_ca="a")) == []


def test_info_by_version() -> None:
    old, new = info(41), info(51)
    assert old["RuncCommit"] == {"ID": "1.21", "Expected": "1.21"}
    assert new["RuncCommit"] == {"ID": "1.21"}
    assert "BridgeNfIptables" in old
    assert "BridgeNfIptables" not in new
    assert "FirewallBackend" in new
