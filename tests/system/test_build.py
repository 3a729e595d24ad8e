"""docker build, by the CLI and docker-py."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.engine import Engine, Result
from tests.support.shoal import CHECKOUT
from tools.images import entry, tar

CLASSIC = {"DOCKER_BUILDKIT": "0"}


def build(
    engine: Engine, folder: Path, *arguments: str, files: Mapping[str, str], input: bytes | None = None
) -> Result:
    """`docker build` of a folder with these files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return engine.docker("build", *arguments, str(folder), env=CLASSIC)


def test_an_image_is_built_run_and_found_again(image_engine: Engine, tmp_path: Path) -> None:
    files = {
        "Dockerfile": "FROM busybox\nARG WHO=nobody\nENV A=1\nCOPY sub /sub/\nRUN echo $WHO > /who && cat /who\n"
        "WORKDIR /w\nUSER alice\nCMD cat /who /sub/x; id -un; pwd\n",
        "sub/x": "x\n",
    }
    built = build(image_engine, tmp_path, "-t", "made:1", "--build-arg", "WHO=me", files=files)
    assert built.code == 0, built
    assert "Step 5/8 : RUN echo $WHO > /who && cat /who\n ---> Running in " in built.out
    assert built.out.endswith("Successfully tagged made:1\n")
    assert image_engine.run("made:1") == "me\nx\nalice\n/w"
    again = build(image_engine, tmp_path, "-q", "--build-arg", "WHO=me", files={})
    assert again.out.strip() == image_engine.ok("inspect", "--format", "{{.Id}}", "made:1")
    assert build(image_engine, tmp_path, "--build-arg", "WHO=you", files={}).out.count("Using cache") == 3
    history = image_engine.ok("history", "--no-trunc", "--format", "{{.CreatedBy}}", "made:1").splitlines()
    assert "|1 WHO=me /bin/sh -c echo $WHO > /who && cat /who" in history
    assert image_engine.call("GET", "/containers/json?all=1").json == []


def test_the_same_image_twice(image_engine: Engine, tmp_path: Path) -> None:
    dockerfile = (
        "FROM busybox\nRUN mkdir -p /made/here && echo 1 > /made/here/f && ln -s f /made/link && rm -r /var/data\n"
    )
    arguments = "-q", "--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1000000000"
    first = build(image_engine, tmp_path, *arguments, files={"Dockerfile": dockerfile})
    assert first.code == 0, first
    time.sleep(1.1)  # another second on the clock, so that it would be another image
    assert build(image_engine, tmp_path, *arguments, files={}).out == first.out
    assert image_engine.run(first.out.strip(), "stat", "-c", "%Y", "/made/here/f") == "1000000000"


def test_stages_and_their_files(image_engine: Engine, tmp_path: Path) -> None:
    dockerfile = (
        "ARG BASE=busybox\nFROM $BASE AS one\nRUN echo 1 > /one; chown alice /one; ln -s one /link\n"
        "FROM busybox AS two\nRUN echo 2 > /two\n"
        "FROM scratch\nCOPY --from=one /link /a\nCOPY --from=two /two /\n"
        'FROM one\nCOPY --from=2 / /all/\nRUN ["ls", "-ln", "/all"]\n'
    )
    built = build(image_engine, tmp_path, "-t", "last", files={"Dockerfile": dockerfile})
    assert built.code == 0, built
    assert image_engine.run("last", "cat", "/all/a", "/all/two") == "1\n2"
    assert image_engine.run("last", "stat", "-c", "%U %n", "/all/a", "/all/two") == "alice /all/a\nroot /all/two"


@pytest.mark.parametrize(
    ("dockerfile", "code", "text"),
    [
        (
            "FROM busybox\nRUN echo out; exit 3\n",
            3,
            "The command '/bin/sh -c echo out; exit 3' returned a non-zero code: 3",
        ),
        ("FROM busybox\nRUNN x\n", 1, "dockerfile parse error on line 2: unknown instruction: RUNN"),
        ("FROM busybox\nCOPY none /\n", 1, "COPY failed: file not found in build context or excluded by"),
        ("FROM busybox\nCOPY --from=x none /\n", 1, "invalid from flag value x"),
    ],
)
def test_what_fails(image_engine: Engine, tmp_path: Path, dockerfile: str, code: int, text: str) -> None:
    failed = build(image_engine, tmp_path, files={"Dockerfile": dockerfile})
    assert failed.code == code
    assert text in failed.err


def test_ignored_files_and_a_dockerfile_elsewhere(image_engine: Engine, tmp_path: Path) -> None:
    files = {
        "docker/file": "FROM busybox\nCOPY . /c\nRUN find /c -type f | sort\n",
        ".dockerignore": "*\n!keep\n!docker\n",
        "keep/x": "",
        "drop/y": "",
    }
    built = build(image_engine, tmp_path, "-f", f"{tmp_path}/docker/file", files=files)
    assert built.code == 0, built
    assert "/c/keep/x\n" in built.out
    assert "/c/drop" not in built.out


def test_a_dockerfile_from_standard_input(image_engine: Engine, tmp_path: Path) -> None:
    piped = image_engine.docker("build", "-", env=CLASSIC, input=b"FROM busybox\nRUN echo piped\n")
    assert "piped\n" in piped.out
    context = tar([entry("Dockerfile", b"FROM busybox\nCOPY x /\nRUN cat /x\n"), entry("x", b"in the tar\n")])
    assert "in the tar\n" in image_engine.docker("build", "-", env=CLASSIC, input=context).out


def test_docker_py(image_engine: Engine) -> None:
    with closing(image_engine.python()) as client:
        image, lines = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nLABEL a=b\n"), tag="py:1", rm=True)
        shown = "".join(line.get("stream", "") for line in lines)
    assert (image.tags, image.labels) == (["py:1"], {"a": "b"})
    assert "Successfully tagged py:1" in shown


def test_limits_and_network_of_a_step(image_engine: Engine, tmp_path: Path) -> None:
    files = {"Dockerfile": "FROM busybox\nRUN ifconfig | grep -o '^[a-z]*'; ulimit -n; grep -c thehost /etc/hosts\n"}
    built = build(
        image_engine,
        tmp_path,
        "--network",
        "none",
        "--ulimit",
        "nofile=77:77",
        "--add-host",
        "thehost:1.2.3.4",
        files=files,
    )
    assert "lo\n77\n1\n" in built.out


def test_a_context_that_is_none(image_engine: Engine) -> None:
    for data in (b"x" * 2000, tar([entry("../Dockerfile", b"FROM busybox")]), tar([entry("Dockerfile", b"")])):
        answer = image_engine.call("POST", "/build", data=data, headers={"Content-Type": "application/x-tar"})
        assert answer.status == 400, answer
        assert answer.message


def test_output_lines_of_the_api(image_engine: Engine) -> None:
    context = tar([entry("Dockerfile", b"FROM busybox\nENV a=b\n")])
    answer = image_engine.call("POST", "/build?t=api", data=context)
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    identifier = image_engine.ok("inspect", "--format", "{{.Id}}", "api")
    assert {"aux": {"ID": identifier}} in lines
    assert lines[-2:] == [
        {"stream": f"Successfully built {identifier[7:19]}\n"},
        {"stream": "Successfully tagged api:latest\n"},
    ]


def test_a_saved_build_is_whole(image_engine: Engine, tmp_path: Path) -> None:
    files = {"Dockerfile": "FROM busybox\nCOPY a /var/data/a\nRUN mkdir -m 700 /x\n", "a": "a"}
    assert build(image_engine, tmp_path, "-t", "saved", files=files).code == 0
    data = image_engine.docker_bytes("save", "saved").stdout
    image_engine.ok("rmi", "-f", "saved")
    image_engine.ok("load", input=data)
    assert image_engine.run("saved", "stat", "-c", "%a %n", "/var/data", "/x") == "755 /var/data\n700 /x"
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert "manifest.json" in archive.getnames()


@pytest.mark.beyond_reference("mounts of a step are BuildKit's")
def test_mounts_of_a_step(image_engine: Engine, tmp_path: Path) -> None:
    dockerfile = (
        "FROM busybox AS one\nRUN echo stage > /st\nFROM busybox\n"
        "RUN --mount=type=cache,target=/c cat /c/n; echo once >> /c/n\n"
        "RUN --mount=type=secret,id=pw --mount=type=tmpfs,target=/t cat /run/secrets/pw && touch /t/x\n"
        "RUN --mount=target=/ctx --mount=from=one,source=/st,target=/st cat /ctx/sub/x /st\n"
        "RUN <<EOF\n#!/bin/sh\necho script $0\nEOF\n"
    )
    secret = base64.urlsafe_b64encode(json.dumps({"pw": base64.b64encode(b"s3cret\n").decode()}).encode()).decode()
    settings = tmp_path / "settings"
    settings.mkdir()
    (settings / "config.json").write_text(json.dumps({"HttpHeaders": {"X-Build-Secrets": secret}}))
    files = {"Dockerfile": dockerfile, "sub/x": "context\n"}
    build(image_engine, tmp_path, files=files)
    env = {**CLASSIC, "DOCKER_CONFIG": str(settings)}
    built = image_engine.docker("build", "--no-cache", "-t", "mounted", str(tmp_path), env=env)
    assert built.code == 0, built
    for text in ("once\n", "s3cret\n", "context\nstage\n", "script /dev/pipes/EOF\n"):
        assert text in built.out
    assert image_engine.run("mounted", "find", "/run", "/c", "/ctx", "/t", "-type", "f", "-size", "+0") == ""
    assert image_engine.call("POST", "/build/prune?all=1").json["SpaceReclaimed"] == 10


@pytest.mark.beyond_reference("these are BuildKit's")
def test_what_the_classic_builder_cannot(image_engine: Engine, tmp_path: Path) -> None:
    dockerfile = (
        "FROM busybox\nCOPY --chmod=4711 <<one <<'two' /d/\n$HOME\none\n$HOME\ntwo\nCOPY --link a /var/data/a\n"
        "RUN <<E\nstat -c '%a %n' /d/*\ncat /d/two\nE\n"
    )
    built = build(image_engine, tmp_path, files={"Dockerfile": dockerfile, "a": ""})
    assert "4711 /d/one\n4711 /d/two\n$HOME\n" in built.out, built


@pytest.mark.shoal_only
def test_a_step_is_in_the_trace_of_its_build(image_engine: Engine, tmp_path: Path) -> None:
    """Found by the id of the step's container, which is gone."""
    built = build(image_engine, tmp_path, files={"Dockerfile": "FROM busybox\nCOPY f /f\nRUN echo hi\n", "f": "f"})
    container = built.out.partition(" ---> Running in ")[2].split()[0]
    run = Path(image_engine.path).parent
    settings = {"SHOAL_RUN_DIR": str(run), "SHOAL_STATE_DIR": str(run.with_name("state")), "PYTHONPATH": str(CHECKOUT)}
    command = ["nsenter", f"--net={image_engine.netns}", sys.executable, "-P", "-m", "tools.shoal", "trace", container]
    tree = subprocess.run(
        command, env={**os.environ, **settings}, check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert tree.count("\ntrace ") == 1
    for span in ("POST /build", "spool archive", "executor.create", "run  [builder]", "platform.create"):
        assert span in tree, tree


def test_a_client_that_leaves_takes_its_build_with_it(image_engine: Engine) -> None:
    context = tar([entry("Dockerfile", b"FROM busybox\nRUN echo begun; sleep 100\n")])
    head = f"POST /build HTTP/1.1\r\nHost: x\r\nContent-Length: {len(context)}\r\n\r\n".encode()
    with image_engine.raw() as client:
        client.sendall(head + context)
        shown = b""
        while b'"begun' not in shown:
            shown += client.recv(1 << 16)
    deadline = time.monotonic() + 60
    while image_engine.call("GET", "/containers/json?all=1").json and time.monotonic() < deadline:
        time.sleep(0.05)
    assert image_engine.call("GET", "/containers/json?all=1").json == []
