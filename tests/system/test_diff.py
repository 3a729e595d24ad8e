"""docker diff."""

from tests.support.engine import IMAGE, Engine


def ran(engine: Engine, *arguments: str) -> str:
    """A container that has ended."""
    made = engine.ok("create", *arguments)
    engine.ok("start", "-a", made)
    return made


def kinds(engine: Engine, container: str) -> dict[str, int]:
    return {each["Path"]: each["Kind"] for each in engine.call("GET", f"/containers/{container}/changes").json or ()}


def test_what_a_container_did(engine: Engine) -> None:
    script = (
        "echo n >/n; mkdir -p /d/e; touch /d/e/f; rm /etc/group; chmod 700 /home; echo x >>/etc/passwd; rm -r /var; "
        "mkdir /var; touch /var/z; ln -s a /l; touch /tmp/x; rm /tmp/x; rm -r /usr; echo f >/usr; "
        "chown 5 /root; touch /bin"
    )
    assert kinds(engine, ran(engine, IMAGE, "sh", "-c", script)) == {
        "/n": 1, "/d": 1, "/d/e": 1, "/d/e/f": 1, "/etc": 0, "/etc/group": 2, "/etc/passwd": 0, "/home": 0, "/var": 0,
        "/var/data": 2, "/var/z": 1, "/l": 1, "/usr": 0, "/root": 0,
    }  # fmt: skip


def test_of_what_the_runtime_made_only_places_for_mounts_are_seen(engine: Engine) -> None:
    made = ran(engine, IMAGE, "true")
    assert engine.call("GET", f"/containers/{made}/changes").body.strip() == b"null"
    made = ran(engine, "--init", "-v", "/vol/a", "--tmpfs", "/t/b", "-v", "/etc:/mnt/x", IMAGE, "true")
    assert kinds(engine, made) == {
        "/sbin": 1, "/sbin/docker-init": 1, "/vol": 1, "/vol/a": 1, "/t": 1, "/t/b": 1, "/mnt": 1, "/mnt/x": 1,
    }  # fmt: skip


def test_of_one_that_runs(engine: Engine) -> None:
    made = engine.start(IMAGE, "sleep", "100")
    engine.ok("exec", made, "touch", "/file")
    assert engine.ok("diff", made) == "A /file"
    engine.ok("exec", made, "rm", "/file")
    assert engine.ok("diff", made) == ""


def test_of_none(engine: Engine) -> None:
    assert "No such container: nope" in engine.docker("diff", "nope").err


def test_where_the_layers_are(engine: Engine) -> None:
    found = engine.inspect(engine.ok("create", IMAGE, "true"))["GraphDriver"]
    assert found["Name"] == "overlay2"
    assert {"LowerDir", "MergedDir", "UpperDir", "WorkDir"} <= set(found["Data"])
    assert "/" in found["Data"]["LowerDir"]
