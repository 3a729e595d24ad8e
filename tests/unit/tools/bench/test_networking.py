from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.support.process import running
from tools.bench import networking
from tools.bench.client import Incomplete


def test_a_socket_of_another_namespace_sees_nothing_of_this_one() -> None:
    command = ["unshare", "--net", "sh", "-c", "echo ready; read x"]
    with running(command, stdin=-1, stdout=-1) as holder, socket.create_server(("127.0.0.1", 0)) as server:
        assert holder.stdout is not None
        holder.stdout.readline()
        with (
            networking.socket_in(Path(f"/proc/{holder.pid}/ns/net"), socket.SOCK_STREAM) as client,
            pytest.raises(OSError, match="unreachable"),
        ):
            client.connect(server.getsockname())
        with networking.socket_in(Path(f"/proc/{os.getpid()}/ns/net"), socket.SOCK_STREAM) as client:
            client.connect(server.getsockname())


def test_a_transfer_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networking, "TRANSFER", 3_000_000)
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            assert networking.transfer(server, client) > 0
        with socket.create_connection(server.getsockname()) as client:
            client.shutdown(socket.SHUT_WR)
            monkeypatch.setattr(networking, "_send", lambda client: None)
            with pytest.raises(Incomplete, match="0 of 3000000 bytes"):
                networking.transfer(server, client)


def test_a_question_and_its_answer() -> None:
    asked = networking.question(7, "a.example")
    assert asked == b"\0\7\1\0\0\1\0\0\0\0\0\0" + b"\1a\7example\0" + b"\0\1\0\1"
    networking.check_answer(7, b"\0\7\x81\x80\0\1\0\1\0\0\0\0")
    for wrong in (b"\0\6\x81\x80\0\1\0\1", b"\0\7\x81\x83\0\1\0\1", b"\0\7\x81\x80\0\1\0\0"):
        with pytest.raises(Incomplete, match="no address"):
            networking.check_answer(7, wrong)


def test_where_a_container_is() -> None:
    assert networking.of_container({"State": {"Pid": 5}}) == Path("/proc/5/ns/net")
