"""A migration driver that knows of Shoal only its contracts: `python archive_driver.py NODE NAME ADDRESS FOLDER`.

It has the platform freeze the workload and write a checkpoint, sends that as one tar archive, and has the other host's
platform go on from it. Nothing of it survives its restart; TCP connections of the workload are a reason to fail.
Reads the broker's URL from SHOAL_NATS_URL and its identity from the file SHOAL_NKEY names.
"""

import asyncio
import json
import os
import secrets
import shutil
import socket
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

OPERATIONS = (
    "migratable", "receive", "precopy", "freeze", "dump", "restore", "resume", "settle", "discard", "thaw", "abandon"
)  # fmt: skip
CODES = {"not_found": "404", "conflict": "409", "failed_precondition": "412"}
Reply = dict[str, Any]


class Refused(Exception):
    def __init__(self, kind: str, message: str) -> None:
        self.body = {"kind": kind, "message": message}


def send(images: Path, peer: Reply) -> int:
    host, _, port = peer["address"].rpartition(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(peer["ticket"].encode())
        with line.makefile("wb") as out, tarfile.open(fileobj=out, mode="w|") as archive:
            archive.add(images, ".")
        line.shutdown(socket.SHUT_WR)
        if line.recv(4) != b"here":
            raise Refused("failed_precondition", "the driver of the other host did not take the archive")
    return sum(each.stat().st_size for each in images.iterdir())


def take(listener: socket.socket, ticket: str, images: Path) -> None:
    line, _ = listener.accept()
    with line, line.makefile("rb") as source:
        if source.read(len(ticket)).decode() != ticket:
            raise Refused("failed_precondition", "a stranger came")
        with tarfile.open(fileobj=source, mode="r|") as archive:
            archive.extractall(images)
        line.sendall(b"here")


class Arrival:
    """One that comes: `whole` when the archive is there, `reply` once it was let run."""

    def __init__(self, request: Reply, address: str, images: Path) -> None:
        self.request, self.images, self.ticket, self.reply = request, images, secrets.token_hex(16), Reply()
        self.listener = socket.create_server((address, 0))
        self.whole = asyncio.ensure_future(asyncio.to_thread(take, self.listener, self.ticket, images))

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        shutil.rmtree(self.images, ignore_errors=True)


class Driver:
    def __init__(self, broker: Client, node: str, address: str, folder: Path) -> None:
        self.broker, self.node, self.address, self.folder = broker, node, address, folder
        self.peers: dict[str, Reply] = {}
        self.frozen: set[str] = set()
        self.arrivals: dict[str, Arrival] = {}
        self.answers: dict[str, asyncio.Future[tuple[Reply, dict[str, str]]]] = {}

    async def platform(self, operation: str, **request: Any) -> Reply:
        subject = f"shoal.v1.platform.{self.node}.{operation}"
        told = await self.broker.request(subject, json.dumps(request).encode(), timeout=120)
        body: Reply = json.loads(told.data)
        if "Nats-Service-Error" in (told.headers or {}):
            raise Refused(body["kind"], body["message"])
        return body

    async def workload(self, id: str) -> Reply:
        for found in (await self.platform("list")).get("workloads", ()):
            if found["id"] == id:
                return dict(found)
        raise Refused("not_found", f"No such container: {id}")

    async def migratable(self, id: str = "", **_: object) -> Reply:
        told: Reply = {"host": {"node": self.node}, "strategies": ["copy"], "processes": 1}
        if id and (await self.workload(id))["state"] != "running":
            told["reasons"] = ["it does not run"]
        elif id:
            sample = (await self.platform("stats", ids=[id]))["samples"][id]
            told["memory_bytes"] = sample["raw"]["memory_stats"]["usage"]
        return told

    async def receive(self, request: Reply, **_: object) -> Reply:
        await self.abandon(request["id"])
        arrival = Arrival(request, self.address, self.folder / f"{request['id']}.in")
        self.arrivals[request["id"]] = arrival
        port = arrival.listener.getsockname()[1]
        return {"node": self.node, "address": f"{self.address}:{port}", "ticket": arrival.ticket}

    async def precopy(self, id: str, peer: Reply, **_: object) -> Reply:
        await self.workload(id)
        self.peers[id] = peer
        return {}

    async def freeze(self, id: str) -> Reply:
        await self.workload(id)
        if id not in self.peers:
            raise Refused("conflict", f"container {id} is not being moved")
        if id not in self.frozen:
            await self.platform("pause", id=id)
            self.frozen.add(id)
        return {"frozen_at": time.time_ns()}

    async def dump(self, id: str) -> Reply:
        begun, images = time.time_ns(), self.folder / id
        if id not in self.frozen:
            raise Refused("conflict", f"container {id} is not frozen")
        shutil.rmtree(images, ignore_errors=True)
        await self.platform("checkpoint", id=id, image_path=str(images), leave_running=True)
        sent = await asyncio.to_thread(send, images, self.peers[id])
        log = (await self.workload(id)).get("log_path", "")
        size = os.path.getsize(log) if log else 0
        return {"dump_ns": time.time_ns() - begun, "bytes": sent, "log_bytes": size}

    def arrival(self, id: str) -> Arrival:
        if id not in self.arrivals:
            raise Refused("not_found", f"No such container: {id}")
        return self.arrivals[id]

    async def restore(self, id: str) -> Reply:
        try:
            await asyncio.shield(self.arrival(id).whole)
        except OSError:
            raise Refused("failed_precondition", f"the archive of {id} will not come any more") from None
        return {"restore_ns": 0}

    async def resume(self, id: str) -> Reply:
        arrival = self.arrival(id)
        if not arrival.reply:
            await self.restore(id)
            made = await self.platform("create", **arrival.request, restore={"image_path": str(arrival.images)})
            now = time.time_ns()
            log = made.get("log_path", "")
            arrival.reply = {"pid": made["pid"], "log_path": log, "started_at": now, "resumed_at": now}
            arrival.close()
        return arrival.reply

    async def settle(self, id: str) -> Reply:
        self.arrival(id)
        return {"bytes": 0}

    async def discard(self, id: str) -> Reply:
        if id in self.frozen:
            await self.platform("signal", id=id, signal=9)
        reply = await self.thaw(id)
        while await self.runs(id):  # noqa: ASYNC110  # the platform tells of its end once, maybe before this is asked
            await asyncio.sleep(0.01)
        return reply

    async def runs(self, id: str) -> bool:
        workloads = (await self.platform("list")).get("workloads", ())
        return any(each["id"] == id and each["state"] == "running" for each in workloads)

    async def thaw(self, id: str) -> Reply:
        self.peers.pop(id, None)
        if id in self.frozen:
            await self.platform("unpause", id=id)
            self.frozen.discard(id)
        shutil.rmtree(self.folder / id, ignore_errors=True)
        return {}

    async def abandon(self, id: str) -> Reply:
        workloads = (await self.platform("list")).get("workloads", ())
        if any(each["id"] == id for each in workloads):
            raise Refused("conflict", f"container {id} runs here")
        gone = self.arrivals.pop(id, None)
        if gone and not gone.reply:
            gone.close()
        return {}

    async def answer(self, message: Msg) -> None:
        """A request that is sent again, under the same id, is answered again, and nothing is done twice."""
        key = (message.headers or {}).get("Shoal-Request-Id", message.reply)
        if key not in self.answers:
            self.answers[key] = asyncio.ensure_future(self.work(message))
        body, headers = await asyncio.shield(self.answers[key])
        await self.broker.publish(message.reply, json.dumps(body).encode(), headers=headers)

    async def work(self, message: Msg) -> tuple[Reply, dict[str, str]]:
        try:
            method = getattr(self, message.subject.rpartition(".")[2])
            return await method(**json.loads(message.data or b"{}")), {}
        except (Refused, OSError) as error:
            body = error.body if isinstance(error, Refused) else {"kind": "internal", "message": str(error)}
            code = CODES.get(body["kind"], "500")
            return body, {"Nats-Service-Error": body["message"][:200], "Nats-Service-Error-Code": code}


async def main(node: str, name: str, address: str, folder: str) -> None:
    inbox = b"_INBOX_migration_driver"
    broker = await nats.connect(os.environ["SHOAL_NATS_URL"], nkeys_seed=os.environ["SHOAL_NKEY"], inbox_prefix=inbox)
    driver = Driver(broker, node, address, Path(folder))
    tasks = set()

    async def asked(message: Msg) -> None:
        tasks.add(task := asyncio.create_task(driver.answer(message)))
        task.add_done_callback(tasks.discard)

    for operation in OPERATIONS:
        await broker.subscribe(f"shoal.v1.migration_driver.{node}-{name}.{operation}", cb=asked)
    begun = {"service": "migration_driver", "node": f"{node}-{name}", "instance": str(os.getpid())}
    await broker.publish("shoal.v1.signals.migration_driver.started", json.dumps(begun).encode())
    await broker.flush()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
