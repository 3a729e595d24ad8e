"""Any host of a cluster serves the containers of all."""

import json
import os
from collections.abc import Iterator

import aiohttp
import pytest

from tests.support.cluster import Hosts, engines
from tests.support.terminal import Terminal
from tests.support.waiting import until

pytestmark = pytest.mark.shoal_only


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Three hosts; the second comes with a container."""
    with engines(tmp_path_factory.mktemp("lab"), 3) as made:
        made.load()
        made.docker(2, "run", "-d", "--name", "brought", "busybox", "sleep", "100000")
        made.init()
        made.join(2)
        made.join(3)
        yield made


def on(number: int) -> tuple[str, ...]:
    """Options of `docker run` that choose a host."""
    return ("--label", f"shoal.node=node{number}")


def test_containers_of_all_hosts_are_listed_and_inspected(hosts: Hosts) -> None:
    hosts.docker(3, "create", *on(3), "--name", "listed", "busybox", "true")
    for number in (1, 2, 3):
        assert {"brought", "listed"} <= set(hosts.docker(number, "ps", "-a", "--format", "{{.Names}}").split())
        assert hosts.docker(number, "inspect", "brought", "-f", "{{.Node.Name}} {{.Node.IP}}") == "node2 198.18.0.2"
    hosts.docker(1, "rm", "listed")


def test_a_name_is_unique_in_the_cluster(hosts: Hosts) -> None:
    assert 'name "/brought" is already in use' in hosts.refused(1, "create", "--name", "brought", "busybox", "true")
    assert "already in use" in hosts.refused(3, "create", "--name", "brought", "busybox", "true")
    hosts.docker(1, "create", *on(1), "--name", "once", "busybox", "true")
    assert "already in use" in hosts.refused(3, "rename", "brought", "once")
    hosts.docker(3, "rename", "once", "twice")
    hosts.docker(3, "create", *on(3), "--name", "once", "busybox", "true")
    hosts.docker(2, "rm", "once", "twice")


def test_a_container_of_another_host_does_all_that_one_of_this_host_does(hosts: Hosts) -> None:
    hosts.docker(2, "run", *on(2), "-d", "--name", "far", "busybox", "sh", "-c", "echo begun; exec sleep 100000")
    assert hosts.docker(1, "exec", "far", "echo", "inside") == "inside"
    assert "sleep 100000" in hosts.docker(1, "top", "far")
    assert hosts.docker(1, "logs", "far") == "begun"
    assert hosts.docker(1, "stats", "--no-stream", "--format", "{{.Name}}", "far") == "far"
    hosts.ok(1, "sh", "-c", "docker cp far:/etc/passwd - | tar xO | grep -q ^root:")
    hosts.ok(1, "sh", "-c", "echo content > /run/given && docker cp /run/given far:/tmp/given")
    assert hosts.docker(3, "exec", "far", "cat", "/tmp/given") == "content"
    assert "A /tmp/given" in hosts.docker(3, "diff", "far")
    hosts.docker(3, "pause", "far")
    assert "(Paused)" in hosts.docker(1, "ps", "--filter", "name=far", "--format", "{{.Status}}")
    hosts.docker(1, "unpause", "far")
    hosts.docker(1, "update", "--memory", "64m", "--memory-swap", "64m", "far")
    hosts.docker(3, "restart", "-t", "0", "far")
    hosts.docker(3, "stop", "-t", "0", "far")
    assert hosts.docker(1, "wait", "far") == "137"
    assert hosts.docker(1, "ps", "-as", "--filter", "name=far", "--format", "{{.Size}}").startswith("8B (virtual")
    pruned = hosts.docker(3, "container", "prune", "-f")
    assert "Deleted Containers" in pruned
    assert "no such" in hosts.refused(1, "inspect", "--type", "container", "far").lower()


def test_attached_from_another_host(hosts: Hosts) -> None:
    hosts.docker(2, "create", *on(2), "-i", "--rm", "--name", "piped", "busybox", "cat")
    megabytes = 4
    script = f"dd if=/dev/zero bs=1M count={megabytes} 2>/dev/null | docker start -ai piped | wc -c"
    assert hosts.ok(1, "sh", "-c", script) == str(megabytes << 20)


def at_terminal(hosts: Hosts, number: int, *words: str) -> Terminal:
    """docker on a host, at a terminal of 31 rows and 99 columns."""
    command = hosts.lab.host(number).command(["docker", *words])
    return Terminal(command, {**os.environ, **hosts.lab.plan.environment(number)}, 31, 99)


def sized(size: str) -> bytes:
    """What to type into a shell to see `sized` (and no sooner) once its terminal has this size."""
    return f"while [ \"$(stty size)\" != '{size}' ]; do usleep 20000; done; echo si''zed\n".encode()


def test_a_terminal_on_another_host(hosts: Hosts) -> None:
    """Exec and run: typing, sizes, detach keys, attach again from a third host, exit codes."""
    hosts.docker(2, "run", "-d", *on(3), "--name", "box", "busybox", "sleep", "100000")
    with at_terminal(hosts, 1, "exec", "-it", "box", "sh") as shell:
        shell.expect(b"# ")
        shell.send(sized("31 99"))
        shell.expect(b"sized")
        shell.resize(40, 120)
        shell.send(sized("40 120"))
        shell.expect(b"sized")
        shell.send(b"exit 4\n")
        assert shell.end() == 4
    with at_terminal(hosts, 1, "run", "-it", "--detach-keys", "ctrl-a,x", *on(2), "--name", "shell", "busybox") as run:
        run.expect(b"# ")
        run.send(sized("31 99"))
        run.expect(b"sized")
        run.send(b"\x01x")
        assert run.end() == 0
    with at_terminal(hosts, 3, "attach", "shell") as attached:
        attached.resize(25, 70)
        attached.send(sized("25 70"))
        attached.expect(b"sized")
        attached.send(b"exit 5\n")
        assert attached.end() == 5
    assert hosts.docker(1, "wait", "shell") == "5"
    hosts.docker(1, "rm", "-f", "shell", "box")


def gateway_of(hosts: Hosts, number: int) -> int:
    """Its process, as the host numbers it."""
    processes = json.loads(hosts.shoal_ok(number, "status", "--json"))
    return int(next(one["pid"] for one in processes if one["name"] == "gateway"))


def test_a_killed_gateway_ends_its_own_connections_only(hosts: Hosts) -> None:
    """The container and who is attached by another host's gateway notice nothing; a new client comes in at once."""
    hosts.docker(1, "run", "-dit", *on(3), "--name", "talk", "busybox", "sh")
    with at_terminal(hosts, 1, "attach", "talk") as own, at_terminal(hosts, 2, "attach", "talk") as other:
        for client in (own, other):
            client.send(b"echo h''ere\n")
        for client in (own, other):
            client.expect(b"here")
        hosts.ok(1, "kill", "-9", str(gateway_of(hosts, 1)))
        own.end()
        other.send(b"echo st''ill\n")
        other.expect(b"still")
        with at_terminal(hosts, 1, "attach", "talk") as again:
            again.send(b"echo ag''ain\n")
            again.expect(b"again")
            other.expect(b"again")
            again.send(b"exit 6\n")
            assert (again.end(), other.end()) == (6, 6), (again.seen, other.seen)
    hosts.docker(1, "rm", "talk")


def test_large_copies_to_and_from_another_host(hosts: Hosts) -> None:
    hosts.docker(1, "run", "-d", *on(3), "--name", "store", "busybox", "sleep", "100000")
    folder = hosts.lab.plan.folder
    (folder / "large").write_bytes(os.urandom(32 << 20))
    hosts.docker(1, "cp", f"{folder}/large", "store:/tmp/large")
    hosts.docker(2, "cp", "store:/tmp/large", f"{folder}/back")
    assert (folder / "large").read_bytes() == (folder / "back").read_bytes()
    for name in ("large", "back"):
        (folder / name).unlink()
    hosts.docker(1, "rm", "-f", "store")


def test_figures_of_all_hosts_are_told_by_each(hosts: Hosts) -> None:
    names = [f"busy{number}" for number in (1, 2, 3)]
    for number, name in enumerate(names, 1):
        hosts.docker(1, "run", "-d", *on(number), "--name", name, "busybox", "sleep", "100000")
    for number in (1, 2, 3):
        told = hosts.docker(number, "stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}").splitlines()
        assert {f"{name} 1" for name in names} <= set(told)
    hosts.docker(1, "rm", "-f", *names)


async def test_a_websocket_to_another_hosts_container(hosts: Hosts) -> None:
    hosts.docker(2, "run", "-di", *on(3), "--name", "piped", "busybox", "cat")
    socket = f"/proc/{hosts.lab.host(1).pid}/root/run/shoal/docker.sock"
    query = "stream=1&stdin=1&stdout=1"
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket)) as session,
        session.ws_connect(f"http://engine/v1.43/containers/piped/attach/ws?{query}") as channel,
    ):
        await channel.send_bytes(b"echoed\n")
        assert (await channel.receive_bytes(timeout=60)) == b"echoed\n"
    hosts.docker(1, "rm", "-f", "piped")


def test_events_of_all_hosts_are_told(hosts: Hosts) -> None:
    since = hosts.ok(1, "date", "+%s")
    hosts.docker(3, "create", *on(3), "--name", "told", "busybox", "true")
    hosts.docker(2, "rm", "told")
    seen = hosts.docker(1, "events", "--since", since, "--until", str(int(since) + 1), "--format", "{{.Action}}")
    for _ in range(60):
        until_now = hosts.ok(1, "date", "+%s.%N")
        seen = hosts.docker(1, "events", "--since", since, "--until", until_now, "--filter", "container=told",
                            "--format", "{{.Action}}")  # fmt: skip
        if "destroy" in seen:
            break
    assert seen.split() == ["create", "destroy"]


def test_logs_are_followed_across_hosts(hosts: Hosts) -> None:
    hosts.docker(3, "run", *on(3), "-d", "--name", "ticks", "busybox", "sh", "-c", "echo one; sleep 1; echo two")
    assert hosts.docker(1, "logs", "-f", "ticks").split() == ["one", "two"]
    hosts.docker(1, "rm", "-f", "ticks")


async def test_a_host_that_is_cut_off_serves_its_own_and_says_what_it_cannot(hosts: Hosts) -> None:
    hosts.docker(3, "run", *on(3), "-d", "--name", "lonely", "busybox", "sleep", "100000")
    hosts.lab.cut(1, 3)
    hosts.lab.cut(2, 3)
    try:

        def state(number: int, name: str) -> str:
            return hosts.docker(number, "ps", "-a", "--filter", f"name={name}", "--format", "{{.Status}}")

        await until(lambda: state(1, "lonely") == "Host Down" and state(3, "brought") == "Host Down", 120)
        assert state(1, "brought").startswith("Up")
        assert state(3, "lonely").startswith("Up")
        assert hosts.docker(3, "exec", "lonely", "echo", "still") == "still"
        assert "cut off" in hosts.refused(3, "create", "--name", "nobody-knows", "busybox", "true")
        hosts.docker(3, "rm", "-f", "lonely")
        assert "Error" in hosts.refused(3, "inspect", "unknown")
    finally:
        hosts.lab.mend(1, 3)
        hosts.lab.mend(2, 3)
    await until(lambda: hosts.docker(1, "ps", "-a", "--filter", "name=lonely", "-q") == "", 120)

    def free() -> bool:
        return hosts.run(1, "docker", "create", "--name", "lonely", "busybox", "true").returncode == 0

    await until(free, 120)  # the name was given up when the cluster could be told
    hosts.docker(2, "rm", "lonely")
    assert json.loads(hosts.docker(3, "inspect", "brought"))[0]["State"]["Running"]


def test_a_gateway_that_begins_anew_knows_all(hosts: Hosts) -> None:
    """Also many records, more than come without the broker's flow control being answered."""
    ids = [hosts.docker(2, "create", *on(2), "busybox", "true") for _ in range(20)]
    hosts.ok(1, "kill", "-9", str(gateway_of(hosts, 1)))
    assert set(ids) <= set(hosts.docker(1, "ps", "-aq", "--no-trunc").split())
    hosts.docker(1, "rm", *ids)


def places(hosts: Hosts, *names: str) -> list[str]:
    return hosts.docker(1, "inspect", "-f", "{{.Node.Name}}", *names).split()


def test_containers_are_spread_over_the_hosts_and_their_image_goes_along(hosts: Hosts) -> None:
    """The image is known to the first host only, when the first of them is made."""
    hosts.docker(1, "create", *on(1), "--name", "source", "busybox", "true")
    hosts.docker(1, "commit", "source", "fresh:1")
    names = [f"spread{number}" for number in range(6)]
    for number, name in enumerate(names):
        hosts.docker(number % 3 + 1, "run", "-d", "--name", name, "fresh:1", "sleep", "100000")
    assert set(places(hosts, *names)) == {"node1", "node2", "node3"}
    for number in (1, 2, 3):
        assert hosts.docker(number, "images", "-q", "fresh:1")
    hosts.docker(1, "rm", "-f", "source", *names)


def test_labels_volumes_and_other_containers_say_where(hosts: Hosts) -> None:
    assert "scheduling constraints not satisfied on 3 nodes" in hosts.refused(
        1, "create", "--label", "shoal.node=elsewhere", "busybox", "true"
    )
    assert "insufficient resources on 3 nodes" in hosts.refused(2, "create", "--memory", "999g", "busybox", "true")
    assert "invalid constraint" in hosts.refused(3, "create", "--label", "shoal.constraint=x", "busybox", "true")
    hosts.docker(3, "volume", "create", "data")
    apart = ("--label", "shoal.affinity=container!=one,container!=two")
    hosts.docker(1, "create", "--name", "one", "-v", "data:/data", "busybox", "true")
    hosts.docker(1, "create", "--name", "two", "--label", "shoal.constraint=node.role==hub", "busybox", "true")
    hosts.docker(1, "create", "--name", "three", *apart, "busybox", "true")
    hosts.docker(1, "create", "--name", "four", "--volumes-from", "one", "busybox", "true")
    hosts.docker(1, "create", "--name", "five", "--network", "container:brought", "busybox", "true")
    assert places(hosts, "one", "two", "three", "four", "five") == ["node3", "node1", "node2", "node3", "node2"]
    refusal = hosts.refused(2, "create", "--network", "container:brought", "-v", "data:/d", "busybox", "true")
    assert "no container brought on 2 nodes; no volume data on 1 node" in refusal
    hosts.docker(1, "rm", "one", "two", "three", "four", "five")
    hosts.docker(3, "volume", "rm", "data")


async def all_hear_of_all(hosts: Hosts) -> None:
    """What a host knows of others by name, it has to ask them."""

    def hears(number: int) -> bool:
        return hosts.docker(number, "node", "ls", "--format", "{{.Status}}").split() == ["Ready"] * 3

    await until(lambda: all(hears(number) for number in (1, 2, 3)), 120)


async def test_volumes_networks_and_images_of_all_hosts(hosts: Hosts) -> None:
    """Made at one socket, seen at the next, removed at the third."""
    await all_hear_of_all(hosts)
    hosts.docker(2, "volume", "create", "far")
    hosts.docker(1, "volume", "create", "--label", "shoal.node=node2", "wished")
    hosts.docker(3, "volume", "create", "far")  # is there already
    hosts.docker(2, "network", "create", "apart")
    hosts.docker(2, "create", *on(2), "--name", "source", "busybox", "true")
    hosts.docker(2, "commit", "source", "only:1")
    for number in (1, 2, 3):
        assert {"far", "wished"} <= set(hosts.docker(number, "volume", "ls", "-q").split())
        for kind, name in (("volume", "far"), ("volume", "wished"), ("network", "apart")):
            assert json.loads(hosts.docker(number, kind, "inspect", name))[0]["Name"] == name
        assert hosts.docker(number, "network", "ls", "--format", "{{.Name}}").split().count("bridge") == 1
        assert hosts.docker(number, "images", "only", "--format", "{{.Tag}}") == "1"
        used = hosts.docker(number, "system", "df", "--format", "{{.Type}} {{.TotalCount}}").splitlines()
        assert int(next(line.split()[-1] for line in used if line.startswith("Local Volumes"))) >= 2
    hosts.docker(1, "create", "--name", "user", "-v", "far:/data", "--network", "apart", "busybox", "true")
    assert places(hosts, "user") == ["node2"]
    assert "volume is in use" in hosts.refused(3, "volume", "rm", "far")
    hosts.docker(3, "run", "--rm", *on(3), "only:1", "true")  # the image goes there
    hosts.docker(1, "rm", "source", "user")
    hosts.docker(3, "volume", "rm", "far", "wished")
    hosts.docker(3, "network", "rm", "apart")
    hosts.docker(1, "rmi", "only:1")
    for number in (1, 2, 3):
        assert not {"far", "wished"} & set(hosts.docker(number, "volume", "ls", "-q").split())
        assert hosts.docker(number, "network", "ls", "-q", "--filter", "name=apart") == ""
        assert hosts.docker(number, "images", "-q", "only") == ""


def test_the_trace_of_a_run_on_another_host_is_one_tree(hosts: Hosts) -> None:
    hosts.docker(1, "run", *on(3), "-d", "--name", "traced", "busybox", "sleep", "100000")
    tree = hosts.shoal_ok(1, "trace", "traced")
    made = next(part for part in tree.split("trace ") if "POST /containers/create" in part)
    for span in ("scheduler.decide", "image_store.prepare", "snapshot"):
        assert span in made
    assert "[executor@node3]" in made
    assert "[gateway@node1]" in made
    hosts.docker(1, "rm", "-f", "traced")


async def test_hosts_are_labelled_and_drained(hosts: Hosts) -> None:
    shown = "{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}"
    wanted = [f"node{number} Ready Active Reachable" for number in (1, 2, 3)]
    await until(lambda: hosts.docker(3, "node", "ls", "--format", shown).splitlines() == wanted, 120)
    assert hosts.docker(2, "node", "inspect", "node3", "-f", "{{.Status.Addr}}") == "198.18.0.3"
    assert "not found" in hosts.shoal(1, "node", "update", "nowhere", "--availability", "drain").stderr
    hosts.shoal_ok(1, "node", "update", "node3", "--label-add", "disk=ssd")
    disk = ("--label", "shoal.constraint=node.labels.disk==ssd")
    hosts.docker(2, "create", *disk, "--name", "labelled", "busybox", "true")
    assert places(hosts, "labelled") == ["node3"]
    assert hosts.docker(1, "ps", "-a", "--filter", "node=node3", "--format", "{{.Names}}") == "labelled"
    assert "labelled  created" in hosts.shoal_ok(2, "node", "drain", "node3")
    refusal = hosts.refused(2, "create", *disk, "busybox", "true")
    assert "1 node not available for new tasks; scheduling constraints not satisfied on 2 nodes" in refusal
    assert json.loads(hosts.shoal_ok(1, "node", "inspect", "node3"))["availability"] == "drain"
    hosts.docker(3, "node", "update", "--availability", "active", "--label-rm", "disk", "--label-add", "a=b", "node3")
    assert json.loads(hosts.shoal_ok(1, "node", "inspect", "node3"))["labels"] == {"a": "b"}
    hosts.shoal_ok(1, "node", "update", "node3", "--label-rm", "a")
    assert "stays a manager" in hosts.refused(1, "node", "demote", "node3")
    assert "docker ps -a --filter node=NAME" in hosts.refused(1, "node", "ps", "node3")
    hosts.docker(1, "rm", "labelled")
