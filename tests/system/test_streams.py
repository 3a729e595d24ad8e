"""Standard streams, terminals, attach and detach."""

import asyncio
import os
import re
import select
import signal
import socket
import subprocess
from contextlib import AbstractContextManager

import aiohttp
import pytest

from tests.support.engine import IMAGE, Engine, unique
from tests.support.process import SECONDS, running
from tests.support.terminal import Terminal


def terminal(engine: Engine, *arguments: str, rows: int = 24, columns: int = 80) -> Terminal:
    return Terminal([engine.cli, *arguments], engine.environment(), rows, columns)


def test_standard_input_ends_by_half_close(engine: Engine) -> None:
    assert engine.docker("run", "--rm", "-i", IMAGE, "cat", input=b"hi\n").out == "hi\n"


def test_output_goes_on_after_the_input_has_ended(engine: Engine) -> None:
    script = "cat; usleep 200000; echo after; usleep 200000; echo error >&2; exit 9"
    result = engine.docker("run", "--rm", "-i", IMAGE, "sh", "-c", script, input=b"before\n")
    assert (result.code, result.out, result.err) == (9, "before\nafter\n", "error\n")


def test_without_i_standard_input_is_empty(engine: Engine) -> None:
    assert engine.docker("run", "--rm", IMAGE, "cat", input=b"not for you").out == ""


def test_binary_data_is_not_changed(engine: Engine) -> None:
    data = os.urandom(300_000) + bytes(range(256)) * 10
    done = engine.docker_bytes("run", "--rm", "-i", IMAGE, "cat", input=data)
    assert done.stdout == data


def test_input_without_a_reader_does_not_hang(engine: Engine) -> None:
    result = engine.docker("run", "--rm", "-i", IMAGE, "true", input=b"x" * 5_000_000)
    assert result.code == 0


def test_output_of_many_small_writes_keeps_its_order(engine: Engine) -> None:
    out = engine.docker(
        "run", "--rm", IMAGE, "sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done"
    ).out
    assert out == "".join(f"{number}\n" for number in range(3000))


def test_output_without_a_line_end(engine: Engine) -> None:
    assert engine.docker("run", "--rm", IMAGE, "printf", "a\\nb").out == "a\nb"


def test_terminal_joins_the_streams_and_ends_lines_its_way(engine: Engine) -> None:
    result = engine.docker("run", "--rm", "-t", IMAGE, "sh", "-c", "echo out; echo err >&2; tty; exit 4")
    assert (result.code, result.out, result.err) == (4, "out\r\nerr\r\n/dev/pts/0\r\n", "")


def test_interactive_shell(engine: Engine) -> None:
    with terminal(engine, "run", "--rm", "-it", "--hostname", "box", IMAGE) as shell:
        shell.expect(b"/ # ")
        shell.send(b"echo $((40+2)); tty\n")
        assert b"42\r\n/dev/pts/0\r\n" in shell.expect(b"/pts/0\r\n")
        shell.send(b"exit 6\n")
        assert shell.end() == 6


def test_interrupt_key_reaches_the_process(engine: Engine) -> None:
    with terminal(
        engine,
        "run",
        "--rm",
        "-it",
        IMAGE,
        "sh",
        "-c",
        "trap 'echo caught; exit 8' INT; echo ready; while :; do sleep 1; done",
    ) as client:
        client.expect(b"ready")
        client.send(b"\x03")
        client.expect(b"caught")
        assert client.end() == 8


def test_window_size_and_resize(engine: Engine) -> None:
    first = "while ! stty size | grep -q '^33 101'; do usleep 20000; done; echo first"
    script = f"trap 'stty size' WINCH; {first}; while :; do usleep 50000; done"
    with terminal(engine, "run", "--rm", "-it", IMAGE, "sh", "-c", script, rows=33, columns=101) as client:
        client.expect(b"first")
        # The client listens for the signal some time after the container has begun: it is told until it has heard.
        for _ in range(60):
            client.resize(44, 122)
            if heard := client.sees(b"44 122", 1.0):
                break
        assert heard


def test_resize_over_the_api(engine: Engine) -> None:
    script = "trap 'stty size; exit' WINCH; echo ready; while :; do usleep 20000; done"
    identity = engine.start("-t", IMAGE, "sh", "-c", script)
    engine.logged(identity, "ready")
    answer = engine.call("POST", f"/containers/{identity}/resize?h=17&w=71")
    assert answer.status == 200
    engine.ok("wait", identity)
    assert engine.docker("logs", identity).out == "ready\r\n17 71\r\n"


def test_resize_of_what_does_not_run(engine: Engine) -> None:
    identity = engine.ok("create", "-t", IMAGE)
    answer = engine.call("POST", f"/containers/{identity}/resize?h=17&w=71")
    assert (answer.status, answer.message.lower()) == (409, f"container {identity} is not running")


def test_detach_by_the_default_keys_and_attach_again(engine: Engine) -> None:
    with terminal(engine, "run", "-it", "--name", "left", IMAGE) as client:
        client.expect(b"/ # ")
        client.send(b"\x10\x11")
        assert client.end() == 0
    assert engine.inspect("left")["State"]["Running"] is True
    with terminal(engine, "attach", "left") as client:
        client.send(b"echo again $((1+1))\n")
        client.expect(b"again 2\r\n")
        client.send(b"exit 5\n")
        assert client.end() == 5


def test_detach_by_chosen_keys(engine: Engine) -> None:
    with terminal(engine, "run", "-it", "--detach-keys", "ctrl-a,x", "--name", "left", IMAGE) as client:
        client.expect(b"/ # ")
        client.send(b"\x10\x11")  # the default keys mean nothing now
        client.send(b"\x01x")
        assert client.end() == 0
    assert engine.inspect("left")["State"]["Running"] is True


def test_attach_sees_only_what_comes_later(engine: Engine) -> None:
    engine.start("-i", "--name", "talker", IMAGE, "sh", "-c", "echo early; read line; echo got $line")
    engine.logged("talker", "early")
    command = [engine.cli, "attach", "talker"]
    with running(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=engine.environment()) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"word\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"got word\n"
        assert client.communicate(timeout=SECONDS)[0] == b""
    assert engine.docker("logs", "talker").out == "early\ngot word\n"


def test_attach_passes_the_exit_code_on(engine: Engine) -> None:
    engine.start("-i", "--name", "talker", IMAGE, "sh", "-c", "read line; exit 11")
    assert engine.docker("attach", "talker", input=b"now\n").code == 11


def test_two_clients_see_the_same_output(engine: Engine) -> None:
    engine.start("-i", "--name", "shared", IMAGE, "cat")
    with terminal(engine, "attach", "shared") as feeder, watcher(engine) as first, watcher(engine) as second:
        for client in (first, second):  # that something fed comes out shows that it is attached
            while not readable(client):
                feeder.send(b"line\n")
        feeder.send(b"last\n")
        for client in (first, second):
            assert client.stdout is not None
            assert list(iter(client.stdout.readline, b"last\n"))[-1] == b"line\n"
        engine.ok("kill", "shared")
        assert [client.communicate(timeout=SECONDS)[0] for client in (first, second)] == [b"", b""]


def watcher(engine: Engine) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    command = [engine.cli, "attach", "--no-stdin", "shared"]
    return running(command, stdout=subprocess.PIPE, env=engine.environment())


def readable(client: "subprocess.Popen[bytes]") -> bool:
    assert client.stdout is not None
    return bool(select.select([client.stdout], [], [], 0.1)[0])


def test_attach_to_what_does_not_run(engine: Engine) -> None:
    engine.ok("create", "--name", "still", IMAGE)
    result = engine.docker("attach", "still")
    assert (result.code, result.err) == (1, "You cannot attach to a stopped container, start it first\n")


def test_signals_to_the_client_are_passed_on(engine: Engine) -> None:
    script = "trap 'echo usr1' USR1; trap 'exit 12' TERM; echo ready; while :; do usleep 20000; done"
    command = [engine.cli, "run", "--rm", IMAGE, "sh", "-c", script]
    with running(command, stdout=subprocess.PIPE, env=engine.environment()) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        client.send_signal(signal.SIGUSR1)
        assert client.stdout.readline() == b"usr1\n"
        client.send_signal(signal.SIGTERM)
        assert client.wait(SECONDS) == 12


def test_upgrade_is_answered_as_the_go_client_demands(engine: Engine) -> None:
    identity = engine.start("-i", IMAGE, "cat")
    with engine.raw() as connection:
        connection.sendall(upgrade_request(identity))
        received = receive_until(connection, b"\r\n\r\n")
        connection.sendall(b"first\n")
        received += receive_until(connection, b"first\n")
    assert received.startswith(b"HTTP/1.1 101 UPGRADED\r\n")
    assert re.search(rb"\r\nConnection: Upgrade\r\n", received)
    assert re.search(rb"\r\nUpgrade: tcp\r\n", received)
    assert received.endswith(b"\1\0\0\0\0\0\0\6first\n")


@pytest.mark.beyond_reference("dockerd loses them")
def test_bytes_sent_together_with_the_head_are_not_lost(engine: Engine) -> None:
    identity = engine.start("-i", IMAGE, "cat")
    with engine.raw() as connection:
        connection.sendall(upgrade_request(identity) + b"first\n")
        assert receive_until(connection, b"first\n").endswith(b"\1\0\0\0\0\0\0\6first\n")


def upgrade_request(identity: str) -> bytes:
    return (
        f"POST /v1.41/containers/{identity}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n"
        "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def receive_until(connection: socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        part = connection.recv(4096)
        assert part, received
        received += part
    return received


def test_attach_without_upgrade_gets_200_and_the_same_stream(engine: Engine) -> None:
    identity = engine.ok("create", "-i", IMAGE, "echo", "x")
    with engine.raw() as connection:
        path = f"/v1.41/containers/{identity}/attach?stream=1&stdout=1"
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        head = connection.recv(4096)
        engine.ok("start", identity)
        rest = head
        while part := connection.recv(4096):
            rest += part
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert rest.endswith(b"\1\0\0\0\0\0\0\2x\n")


GIGABYTES = int(os.environ.get("SHOAL_TEST_STREAM_MB", "1024"))


@pytest.mark.timeout(600)
def test_a_gigabyte_through_cat(engine: Engine) -> None:
    """SHOAL_TEST_STREAM_MB sets another size."""
    size = GIGABYTES << 20
    command = f"head -c {size} /dev/zero | {engine.cli} run --rm -i --log-driver none {IMAGE} cat | cksum"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running(["sh", "-c", command], env=engine.environment(), **pipes) as client:
        out, errors = client.communicate(timeout=500)
    expected = subprocess.run(["sh", "-c", f"head -c {size} /dev/zero | cksum"], capture_output=True, timeout=100)
    assert out == expected.stdout, errors


async def test_attach_by_a_real_websocket_client(engine: Engine) -> None:
    name = unique("ws")
    await asyncio.to_thread(engine.start, "-i", "--name", name, IMAGE, "cat")
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(engine.path)) as session:
        query = "stream=1&stdin=1&stdout=1&stderr=1"
        async with session.ws_connect(f"http://engine/v1.41/containers/{name}/attach/ws?{query}") as channel:
            await channel.send_bytes(b"hello\n")
            got = b""
            while len(got) < 6:
                got += await channel.receive_bytes(timeout=SECONDS)
            await channel.ping()
            await channel.send_str("text\n")
            while len(got) < 11:
                got += await channel.receive_bytes(timeout=SECONDS)
            assert got == b"hello\ntext\n"
        assert channel.close_code == aiohttp.WSCloseCode.OK, "good-bye is answered while the program runs"
        async with session.ws_connect(f"http://engine/v1.41/containers/{name}/attach/ws?{query}") as channel:
            await asyncio.to_thread(engine.ok, "kill", name)
            assert (await channel.receive(timeout=SECONDS)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
