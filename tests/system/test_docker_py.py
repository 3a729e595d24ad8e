"""docker-py 7.2: the whole way of a container, an image, a network and a volume."""

from collections.abc import Iterator

import pytest
from docker.client import DockerClient
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from docker.types import Ulimit

from tests.support.engine import IMAGE, Engine
from tools.images import busybox, docker_archive


@pytest.fixture
def client(image_engine: Engine) -> Iterator[DockerClient]:
    made = image_engine.python()
    yield made
    made.close()


def test_run(client: DockerClient) -> None:
    assert client.containers.run(IMAGE, ["echo", "hi"], remove=True) == b"hi\n"
    assert (
        client.containers.run(IMAGE, ["echo $X"], entrypoint=["sh", "-c"], environment={"X": "y"}, remove=True)
        == b"y\n"
    )
    assert client.containers.run(IMAGE, "id -u", user="alice", remove=True) == b"1000\n"
    core = [Ulimit(name="core", soft=0)]
    assert client.containers.run(IMAGE, ["sh", "-c", "ulimit -c"], ulimits=core, remove=True) == b"0\n"


def test_run_errors(client: DockerClient) -> None:
    with pytest.raises(ContainerError) as failed:
        client.containers.run(IMAGE, ["sh", "-c", "echo bad >&2; exit 3"], remove=True, stderr=True)
    assert (failed.value.exit_status, failed.value.stderr) == (3, b"bad\n")
    with pytest.raises(APIError, match="executable file not found"):
        client.containers.run(IMAGE, ["nosuch"], remove=True)
    with pytest.raises(NotFound):
        client.containers.get("nope")
    with pytest.raises(ImageNotFound):
        client.images.get("nope:1")


def test_life_cycle(client: DockerClient) -> None:
    container = client.containers.create(
        IMAGE,
        ["sleep", "100"],
        name="life",
        labels={"a": "b"},
        mem_limit="64m",
        ports={"80/tcp": ("127.0.0.1", None)},
        volumes={"vol": {"bind": "/v", "mode": "rw"}},
        hostname="life-host",
        init=True,
    )
    assert container.status == "created"
    container.start()
    container.reload()
    assert (container.status, container.attrs["HostConfig"]["Memory"]) == ("running", 64 << 20)
    assert container.ports["80/tcp"][0]["HostIp"] == "127.0.0.1"
    assert [each.name for each in client.containers.list(filters={"label": "a=b"})] == ["life"]
    code, output = container.exec_run(["sh", "-c", "hostname; echo err >&2; exit 4"], demux=True)
    assert (code, output) == (4, (b"life-host\n", b"err\n"))
    assert any("sleep 100" in " ".join(process) for process in container.top()["Processes"])
    container.rename("renamed")
    container.pause()
    container.unpause()
    container.restart(timeout=0)
    container.kill()
    assert container.wait()["StatusCode"] == 137
    container.remove(v=True)
    with pytest.raises(NotFound):
        container.reload()


def test_logs(client: DockerClient) -> None:
    container = client.containers.run(
        IMAGE, ["sh", "-c", "echo one; usleep 100000; echo two >&2; usleep 100000; echo three"], detach=True
    )
    container.wait()
    assert container.logs() == b"one\ntwo\nthree\n"
    assert container.logs(stdout=False) == b"two\n"
    assert container.logs(tail=1) == b"three\n"
    assert list(container.logs(stream=True, follow=True)) == [b"one\n", b"two\n", b"three\n"]
    assert container.logs(timestamps=True, tail=1).split(b" ", 1)[1] == b"three\n"


def test_attach_and_exec_sockets(client: DockerClient) -> None:
    container = client.containers.create(IMAGE, ["cat"], stdin_open=True, tty=True)
    container.start()
    attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    attached._sock.sendall(b"typed\n")
    received = b""
    while received.count(b"typed") < 2:
        received += attached._sock.recv(100)
    attached._response.close()  # and the socket: closed alone it would leave the answer open
    container.resize(20, 60)
    begun = container.exec_run(["cat"], stdin=True, socket=True, tty=True)
    assert begun.exit_code is None
    begun.output._response.close()


def test_exec_stream(client: DockerClient) -> None:
    container = client.containers.run(IMAGE, ["sleep", "100"], detach=True)
    # docker-py loses what it reads in one piece with the head: on a busy machine it comes late to that
    _, stream = container.exec_run(["sh", "-c", "sleep 0.5; for i in 1 2 3; do echo $i; done"], stream=True)
    assert b"".join(stream) == b"1\n2\n3\n"
    code, output = container.exec_run("env", environment={"K": "v"}, workdir="/etc", user="alice")
    assert code == 0
    assert b"K=v" in output


def test_images(client: DockerClient) -> None:
    loaded = client.images.load(docker_archive(busybox("py:1")))
    assert [image.tags for image in loaded] in (["busybox:latest", "py:1"], [["busybox:latest", "py:1"]])
    image = client.images.get("py:1")
    assert image.tag("py", tag="2")
    assert {"py:1", "py:2"} <= set(client.images.get("py:2").tags)
    assert b"".join(image.save(named=True)).count(b"manifest.json") >= 1
    assert len(image.history()) == 1
    client.images.remove("py:1")
    client.images.remove("py:2")
    with pytest.raises(ImageNotFound):
        client.images.get("py:1")


def test_events(client: DockerClient) -> None:
    events = client.events(decode=True, filters={"type": "container"})
    client.containers.run(IMAGE, ["true"], remove=True, network_mode="none")
    actions = []
    for event in events:
        actions.append(event["Action"])
        if event["Action"] == "destroy":
            break
    events.close()
    assert [action for action in actions if action != "attach"] == ["create", "start", "die", "destroy"]


def test_volumes_and_networks(client: DockerClient) -> None:
    volume = client.volumes.create("vol", labels={"a": "b"})
    assert [each.name for each in client.volumes.list(filters={"label": "a=b"})] == ["vol"]
    network = client.networks.create("net", labels={"a": "b"})
    container = client.containers.run(IMAGE, ["sleep", "100"], detach=True, network="net")
    network.reload()
    assert [each.id for each in network.containers] == [container.id]
    container.remove(force=True)
    network.remove()
    volume.remove()


def test_system(client: DockerClient) -> None:
    assert client.ping()
    assert client.version()["Os"] == "linux"
    assert client.info()["OSType"] == "linux"
    assert client.df()["Images"]
    assert client.api.api_version
