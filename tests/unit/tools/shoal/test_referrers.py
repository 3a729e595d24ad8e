from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from shared.errors import FailedPrecondition, NotFound
from tests.support.answers import answering
from tools.shoal.__main__ import app
from tools.shoal.referrers import HUB_ENTRY, login, one, only_blob, write

SIGNATURE, SBOM = "sha256:aa" + "0" * 62, "sha256:ab" + "0" * 62


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def referrer(digest: str, *blobs: bytes, kind: str = "x/sig") -> dict[str, Any]:
    held = [{"digest": f"sha256:{number:064x}", "data": text(blob)} for number, blob in enumerate(blobs)]
    return {"digest": digest, "artifactType": kind, "data": text(b"{}"), "blobs": held}


def run(tmp_path: Path, *arguments: str, found: tuple[dict[str, Any], ...]) -> tuple[int, str, list[str]]:
    body = json.dumps({"Digest": "sha256:d", "Referrers": found}).encode()
    (tmp_path / "docker.sock").unlink(missing_ok=True)
    with answering(tmp_path / "docker.sock", {"GET /distribution/r/a%3A1/referrers": (200, body)}) as asked:
        done = CliRunner().invoke(app, ["referrers", "r/a:1", *arguments], env={"SHOAL_RUN_DIR": str(tmp_path)})
    return done.exit_code, done.output, asked


def test_they_are_listed(tmp_path: Path) -> None:
    found = (referrer(SIGNATURE), referrer(SBOM, kind=""))
    code, output, asked = run(tmp_path, found=found)
    assert (code, output.split()) == (0, [SIGNATURE, "x/sig", SBOM, "-"])
    assert len(asked) == 1
    assert json.loads(run(tmp_path, "--json", found=found)[1])["Digest"] == "sha256:d"


def test_what_one_holds_comes_as_it_is(tmp_path: Path) -> None:
    code, output, asked = run(tmp_path, "sha256:aa", found=(referrer(SIGNATURE, b"signed"),))
    assert (code, output, len(asked)) == (0, "signed", 2)
    folder = tmp_path / "out"
    assert run(tmp_path, "aa", "-o", str(folder), found=(referrer(SIGNATURE, b"0", b"1"),))[0] == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "manifest.json": b"{}", f"{0:064x}": b"0", f"{1:064x}": b"1",
    }  # fmt: skip
    with pytest.raises(FailedPrecondition, match="cannot make the folder"):
        write(referrer(SIGNATURE), folder)


def test_one_has_to_be_meant() -> None:
    found = [referrer(SIGNATURE), referrer(SBOM)]
    assert one(found, "ab")["digest"] == SBOM
    with pytest.raises(FailedPrecondition, match="2 referrers"):
        one(found, "sha256:a")
    with pytest.raises(NotFound, match="leave the digest out"):
        one(found, "b")
    for blobs in ((), (b"0", b"1")):
        with pytest.raises(FailedPrecondition, match=f"holds {len(blobs)} blobs"):
            only_blob(referrer(SIGNATURE, *blobs))


def test_credentials_are_those_that_docker_login_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert login("r:5") == {}
    kept = {"r:5": {"auth": text(b"u:p:w")}, HUB_ENTRY: {"identitytoken": "t"}, "helped": {}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": kept}))

    def said(domain: str) -> Any:
        return json.loads(base64.urlsafe_b64decode(login(domain)["X-Registry-Auth"]))

    assert said("r:5") == {"username": "u", "password": "p:w", "identitytoken": ""}
    assert said("docker.io") == {"username": "", "password": "", "identitytoken": "t"}
    assert (login("other"), login("helped")) == ({}, {})
    (tmp_path / "config.json").write_text("[")
    assert login("r:5") == {}


def test_the_help_teaches() -> None:
    output = CliRunner().invoke(app, ["referrers", "--help"]).output
    assert "shoal referrers registry.example/app:1 sha256:3f2a" in output
