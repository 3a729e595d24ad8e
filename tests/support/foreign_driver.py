"""A network driver that knows of Shoal only the contract `network_driver`: `python foreign_driver.py NODE NAME`.

VXLAN as it is without a control plane: it learns who is where, and sends what it does not know to all hosts with peers.
Reads the broker's URL from SHOAL_NATS_URL and its identity from the file SHOAL_NKEY names.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable

import nats
from nats.aio.msg import Msg

PORT = "14789"


def run(*lines: str) -> None:
    for line in lines:
        subprocess.run(line.split(), check=True, capture_output=True)


def join(port: str, bridge: str, vni: int, host: str, mtu: int, **_: object) -> None:
    if subprocess.run(["ip", "link", "show", port], check=False, capture_output=True).returncode:
        run(f"ip link add {port} mtu {mtu} type vxlan id {vni} local {host} dstport {PORT} noudpcsum")
    run(f"ip link set {port} master {bridge} up")


def leave(port: str, **_: object) -> None:
    subprocess.run(["ip", "link", "del", port], check=False, capture_output=True)


def peers(port: str, peers: tuple[dict[str, str], ...] = (), **_: object) -> None:
    run(f"bridge fdb flush dev {port} self")
    for host in sorted({peer["host"] for peer in peers}):
        run(f"bridge fdb append 00:00:00:00:00:00 dev {port} dst {host}")


async def main(node: str, name: str) -> None:
    done: dict[str, Callable[..., None]] = {"check": lambda **_: None, "join": join, "leave": leave, "peers": peers}
    inbox = b"_INBOX_network_driver"
    broker = await nats.connect(os.environ["SHOAL_NATS_URL"], nkeys_seed=os.environ["SHOAL_NKEY"], inbox_prefix=inbox)

    async def asked(message: Msg) -> None:
        done[message.subject.rpartition(".")[2]](**json.loads(message.data or b"{}"))
        await message.respond(b"{}")

    for operation in done:
        await broker.subscribe(f"shoal.v1.network_driver.{node}-{name}.{operation}", cb=asked)
    begun = {"service": "network_driver", "node": f"{node}-{name}", "instance": str(os.getpid())}
    await broker.publish("shoal.v1.signals.network_driver.started", json.dumps(begun).encode())
    await broker.flush()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
