"""The operator at a real server that is alone; what it does with several is in test_hub."""

import time

import msgspec
import pytest

from shared.cluster import Peer
from shared.errors import Unavailable
from shared.hub_operator import HubOperator
from tests.support.ports import free_port
from tests.support.process import Process
from tools.supervisor import broker, keys


@pytest.fixture
async def operator(directory):
    port = free_port()
    key = keys.public_key(directory, "hub")
    path = directory / "nats.json"
    users = {"$SYS": {"users": [{"nkey": key}]}}
    told = {"server_name": "hub-1", "listen": f"127.0.0.1:{port}", "accounts": users}
    path.write_bytes(msgspec.json.encode(told | {"jetstream": {"store_dir": str(directory)}}))
    process = Process([broker.program(), "-c", str(path)], "Server is ready")
    process.wait()
    made = await HubOperator.connect(port, directory / "hub.nk", "hub-1")
    yield made
    await made.close()
    process.kill()


async def test_a_server_that_is_in_no_group(operator):
    group = await operator.group()
    assert (group.leader, group.size, group.peers) == ("", 0, (Peer("", "hub-1"),))
    assert await operator.linked() == {}
    assert abs(await operator.loaded() - time.time()) < 60


async def test_what_nobody_can_do(operator):
    with pytest.raises(Unavailable, match="does not answer"):
        await operator.remove(Peer("", "hub-2"))
    await operator.cut(7)  # it is gone already
