from __future__ import annotations

import pytest

from shared.contracts.common import Platform
from shared.errors import InvalidArgument, NotFound
from tests.support.image_store import Store
from tests.support.website import website
from tools.images import Compression, compress, digest, directory, entry, tar

FLAT = tar([directory("etc"), entry("etc/x", b"1")])


@pytest.mark.parametrize("form", ["none", "gzip", "zstd"])
async def test_a_root_file_system_becomes_an_image(store: Store, form: Compression) -> None:
    (line,) = await store.import_(
        compress(FLAT, form),
        repository="imp",
        tag="x",
        message="Imported from -",
        changes=("CMD echo hi", "ENV A=b", "LABEL x=$A"),
    )
    image = await store.resolve("imp:x")
    assert line == {"status": image.id}
    assert (image.diff_ids, image.size, image.comment) == ((digest(FLAT),), 1, "Imported from -")
    assert (image.config.cmd, image.config.env) == (("/bin/sh", "-c", "echo hi"), ("A=b",))
    (step,) = image.history
    assert (step.comment, step.size, step.created) == ("Imported from -", 1, image.created)
    assert image.created_ns > 0
    assert store.told() == [("tag", "imp:x"), ("import", image.id)]
    assert store.events[0].attributes["x"] == "b"
    assert store.leftovers() == []


async def test_without_a_name_and_for_another_platform(store: Store) -> None:
    (line,) = await store.import_(FLAT, platform=Platform(architecture="arm64", variant="v8"))
    image = await store.resolve(line["status"])
    assert (image.repo_tags, image.platform.architecture) == ((), "arm64")


async def test_from_a_url(store: Store) -> None:
    big = tar([entry("big", b"x" * 3_000_000)])
    with website({"/a.tar": big}) as url:
        told = await store.import_(b"", source=f"{url}/a.tar", repository="far")
    assert told[0] == {"status": f"Downloading from {url}/a.tar"}
    assert all(line["progressDetail"]["total"] == len(big) for line in told[1:-1])
    assert told[1:-1]
    image = await store.resolve("far:latest")
    assert (image.id, image.diff_ids) == (told[-1]["status"], (digest(big),))


async def test_from_a_url_that_leads_nowhere(store: Store) -> None:
    with website({}) as url:
        (line,) = await store.import_(b"", source=f"{url}/a.tar", repository="far")
    assert "with status 404 Not Found" in line["error"]
    assert store.leftovers() == []


async def test_of_nothing_comes_an_empty_image(store: Store) -> None:
    (line,) = await store.import_(b"", repository="empty")
    assert (await store.resolve("empty:latest")).id == line["status"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"repository": "Upper"}, "must be lowercase"),
        ({"repository": "a", "tag": "@@"}, "invalid tag format"),
        ({"repository": "a@sha256:" + "0" * 64}, "cannot import digest reference"),
        ({"changes": ("RUN x",)}, "RUN is not a valid change command"),
        ({"platform": Platform(os="windows")}, "operating system is not supported: windows"),
        ({"platform": Platform(architecture="a b")}, "invalid platform"),
    ],
)
async def test_wrong_requests_fail_before_any_byte(store: Store, more: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        await store.import_(FLAT, **more)


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (b"junk" * 300, "invalid tar header"),
        (FLAT[:512], "cut short"),
        (tar([entry("../x")]), "outside of the archive"),
        (compress(bytes(200 << 20), "gzip"), "max_unpack"),
    ],
)
async def test_what_is_no_root_file_system(store: Store, archive: bytes, message: str) -> None:
    (line,) = await store.import_(archive, repository="imp")
    assert message in line["error"]
    assert (store.leftovers(), store.blobs()) == ([], set())
    with pytest.raises(NotFound):
        await store.resolve("imp")
