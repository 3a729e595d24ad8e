"""docker commit."""

import io
import json
import tarfile
import time

import pytest

from tests.support.engine import IMAGE, Engine, unique


@pytest.fixture
def engine(image_engine: Engine) -> Engine:
    return image_engine


def image(engine: Engine, name: str) -> dict[str, object]:
    found: dict[str, object] = engine.call("GET", f"/v1.41/images/{name}/json").json
    return found


def layer(engine: Engine, name: str) -> tarfile.TarFile:
    """The uppermost layer of an image."""
    with tarfile.open(fileobj=io.BytesIO(engine.docker_bytes("save", name).stdout)) as archive:

        def member(path: str) -> bytes:
            file = archive.extractfile(path)
            assert file is not None
            return file.read()

        top = json.loads(member("manifest.json"))[0]["Layers"][-1]
        return tarfile.open(fileobj=io.BytesIO(member(top)))


def test_of_what_a_container_did(engine: Engine) -> None:
    script = "echo new >/new; ln /new /hard; ln -s new /soft; chmod 4755 /new; rm /etc/group; rm -r /var; mkdir /var"
    made = engine.ok("create", IMAGE, "sh", "-c", script)
    engine.ok("start", "-a", made)
    tag = f"{unique('made')}:1"
    identity = engine.ok("commit", "-m", "why", "-a", "me <me@x>", made, tag)
    found = image(engine, tag)
    assert (found["Id"], found["RepoTags"], found["Comment"], found["Author"]) == (identity, [tag], "why", "me <me@x>")
    assert found["Parent"] == image(engine, IMAGE)["Id"]
    entry = engine.call("GET", f"/images/{tag}/history").json[0]
    assert (entry["Comment"], entry["CreatedBy"], entry["Size"]) == ("why", f"sh -c {script}", 7)
    names = {each.name for each in layer(engine, tag)}
    assert {"new", "hard", "soft", "etc/.wh.group", "var/.wh..wh..opq"} <= names
    assert not [name for name in names if name.startswith((".dockerenv", "dev", "proc", "sys", "etc/hosts"))]
    seen = engine.run(
        tag, "sh", "-c", "cat /new /hard; readlink /soft; ls /var; stat -c %a%h /new; ls /etc/group; true"
    )
    assert seen.split() == ["new", "new", "new", "47552"]


def test_changes_and_a_given_configuration(engine: Engine) -> None:
    made = engine.ok("create", "-e", "A=1", "-l", "l=1", "--user", "alice", IMAGE, "echo", "x")
    lines = [
        "ENV B=${A}2", 'CMD ["echo", "y"]', "WORKDIR /w", "EXPOSE 80", "LABEL m=2", "VOLUME /v",
        "USER nobody", "HEALTHCHECK --interval=7s CMD true", "ONBUILD RUN x",
    ]  # fmt: skip
    tag = unique("changed")
    engine.ok("commit", *(word for line in lines for word in ("-c", line)), made, tag)
    config = image(engine, tag)["Config"]
    assert isinstance(config, dict)
    assert {"A=1", "B=12"} <= set(config["Env"])
    assert (config["Cmd"], config["WorkingDir"], config["User"]) == (["echo", "y"], "/w", "nobody")
    assert (config["Labels"], config["ExposedPorts"], config["Volumes"]) == (
        {"l": "1", "m": "2"}, {"80/tcp": {}}, {"/v": {}}
    )  # fmt: skip
    assert config["OnBuild"] == ["RUN x"]
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 7 * 10**9}
    assert (config["Hostname"], config["Image"]) == (made[:12], IMAGE)
    engine.ok("commit", "-c", 'ENTRYPOINT ["id"]', made, tag)
    config = image(engine, tag)["Config"]
    assert isinstance(config, dict)
    assert (config["Entrypoint"], config["Cmd"]) == (["id"], None)
    answer = engine.call("POST", f"/commit?container={made}&repo={tag}", {"Cmd": ["z"], "Env": ["A=2"]})
    assert (answer.status, answer.json["Id"]) == (201, image(engine, tag)["Id"])
    config = image(engine, tag)["Config"]
    assert isinstance(config, dict)
    assert (config["Cmd"], config["Env"][0], config["User"], config["Labels"]) == (["z"], "A=2", "alice", {"l": "1"})


def test_nothing_new_is_no_layer(engine: Engine) -> None:
    made = engine.ok("create", IMAGE, "true")
    engine.ok("start", "-a", made)
    tag = unique("same")
    engine.ok("commit", made, tag)
    assert image(engine, tag)["RootFS"] == image(engine, IMAGE)["RootFS"]
    assert engine.call("GET", f"/images/{tag}/history").json[0]["Size"] == 0


def test_of_one_that_runs_and_its_events(engine: Engine) -> None:
    script = "i=0; while true; do i=$((i+1)); echo $i >/a; cp /a /b; done"
    made = engine.start(IMAGE, "sh", "-c", script)
    tag = unique("live")
    begun = time.time()
    identity = engine.ok("commit", "-m", "why", made, f"{tag}:x")
    assert engine.inspect(made)["State"]["Status"] == "running"
    answer = engine.call("GET", f"/events?since={begun}&until={time.time()}")
    events = [json.loads(line) for line in answer.body.splitlines()]
    ours = [each["Action"] for each in events if each["Actor"]["ID"] == made]
    assert ours == ["pause", "commit", "unpause"]
    attributes = next(each["Actor"]["Attributes"] for each in events if each["Action"] == "commit")
    assert (attributes["comment"], attributes["imageID"], attributes["imageRef"]) == ("why", identity, f"{tag}:x")
    a, b = (int(engine.run(f"{tag}:x", "cat", path) or 0) for path in ("/a", "/b"))
    assert not a or b in (a, a - 1, 0)


def test_what_is_committed_is_committed_again(engine: Engine) -> None:
    """Three steps on each other: adding, changing, removing."""
    tag, below = unique("step"), IMAGE
    for number, script in enumerate(("mkdir /d; echo 1 >/d/a; echo 1 >/d/b", "echo 2 >/d/a", "rm /d/b")):
        made = engine.ok("create", below, "sh", "-c", script)
        engine.ok("start", "-a", made)
        below = f"{tag}:{number}"
        engine.ok("commit", made, below)
    assert engine.run(below, "sh", "-c", "ls /d; cat /d/a") == "a\n2"
    assert len(image(engine, below)["RootFS"]["Layers"]) == 4  # type: ignore[index]
    data = engine.docker_bytes("save", below).stdout
    engine.ok("rm", "-f", *engine.ok("ps", "-aq").split())
    engine.ok("rmi", *(f"{tag}:{number}" for number in range(3)))
    engine.ok("load", input=data)
    assert engine.run(below, "sh", "-c", "ls /d; cat /d/a") == "a\n2"


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("container=nope", 404, "No such container: nope"),
        ("container=CONTAINER&repo=UPPER", 400, "must be lowercase"),
        ("container=CONTAINER&repo=a&tag=a%20b", 400, "invalid tag format"),
        ("container=CONTAINER&changes=RUN%20x", 400, "RUN is not a valid change command"),
        ("container=CONTAINER&changes=ENV", 400, "ENV"),
    ],
)
def test_errors(engine: Engine, query: str, status: int, text: str) -> None:
    made = engine.ok("create", IMAGE, "true")
    answer = engine.call("POST", f"/commit?{query.replace('CONTAINER', made)}", {})
    assert answer.status in (status, 500)  # dockerd 20.10 says 500 of a wrong name
    assert text.lower() in answer.message.lower()
