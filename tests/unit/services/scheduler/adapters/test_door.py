import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.scheduler.adapters import door
from services.scheduler.adapters.door import Door
from shared.contracts.scheduler import JoinReply, JoinRequest
from shared.errors import AlreadyExists
from tests.support.certified import certify
from tests.support.ports import free_port

ASKED = JoinRequest(secret="s", node="n", name="node2", address="a", request="r", link="U")


async def admit(request: JoinRequest) -> JoinReply:
    if request.name == "taken":
        raise AlreadyExists("the name is taken")
    return JoinReply(cluster=f"for {request.node}")


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    certify(tmp_path)
    made, number = Door(tmp_path, admit), free_port()
    await made.open("127.0.0.1", number)
    yield number
    await made.close()


async def knock(port: int, sent: bytes) -> tuple[str, JoinReply]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(sent)
    authority = msgspec.json.decode(await reader.readline(), type=str)
    reply = msgspec.json.decode(await reader.readline(), type=JoinReply)
    writer.close()
    return authority, reply


async def test_the_authority_is_told_then_the_answer(port: int, tmp_path: Path) -> None:
    authority, reply = await knock(port, msgspec.json.encode(ASKED) + b"\n")
    assert authority == (tmp_path / "ca.crt").read_text()
    assert reply == JoinReply(cluster="for n")


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"nonsense\n", "no request to join"),
        (b"{}\n", "no request to join: Object missing required field `node`"),
        (b"x" * (door.MOST_BYTES + 1), "no request to join"),
        (msgspec.json.encode(msgspec.structs.replace(ASKED, name="taken")) + b"\n", "the name is taken"),
    ],
)
async def test_what_is_refused_is_told_why(port: int, sent: bytes, says: str) -> None:
    assert says in (await knock(port, sent))[1].error


async def test_who_says_nothing_is_sent_away_and_others_are_served(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "SECONDS", 0.1)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    assert (await knock(port, msgspec.json.encode(ASKED) + b"\n"))[1].cluster == "for n"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    silent, quiet = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    await silent.readline()
    assert await silent.read() == b""
    writer.close()
    quiet.close()
