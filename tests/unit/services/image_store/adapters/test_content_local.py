from __future__ import annotations

import pytest

from services.image_store.adapters.content_local import LocalContent
from services.image_store.adapters.layout import StoreLayout
from services.image_store.ports import Indexed
from shared.contracts.common import Descriptor
from shared.digest import digest_of, hex_of
from shared.errors import DataLoss


@pytest.fixture
def content(layout: StoreLayout) -> LocalContent:
    made = LocalContent(layout)
    made.open()
    return made


async def test_a_blob_is_named_by_what_it_holds(content: LocalContent, layout: StoreLayout) -> None:
    digest = await content.write(b"abc")
    assert digest == await content.write(b"abc") == digest_of(b"abc")
    assert content.read(digest, 3) == b"abc"
    assert [path.name for path in layout.blobs.iterdir()] == [hex_of(digest)]
    assert list(layout.ingest.iterdir()) == []
    again = LocalContent(layout)
    again.open()
    assert again.digests() == {digest}


async def test_a_file_is_adopted_without_copying(content: LocalContent, layout: StoreLayout) -> None:
    file = layout.ingest / "f"
    file.write_bytes(b"x")
    await content.flush(file)
    content.adopt(file, digest_of(b"x"))
    content.adopt(file, digest_of(b"x"))
    assert content.path(digest_of(b"x")).stat().st_ino == file.stat().st_ino
    content.delete([digest_of(b"x"), digest_of(b"never there")])
    assert not content.has(digest_of(b"x"))
    assert file.exists()


async def test_damaged_blobs_are_told_apart(content: LocalContent) -> None:
    digest = await content.write(b"abc")
    with pytest.raises(DataLoss, match="is damaged"):
        content.read(digest, 2)
    content.path(digest).write_bytes(b"abd")
    with pytest.raises(DataLoss, match="is damaged"):
        content.read(digest, 3)
    content.path(digest).unlink()
    with pytest.raises(DataLoss, match="is missing"):
        content.read(digest, 3)


async def test_the_index_is_one_of_an_oci_layout(content: LocalContent, layout: StoreLayout) -> None:
    assert content.read_index() == ()
    manifest = Descriptor(media_type="application/vnd.oci.image.manifest.v1+json", digest=digest_of(b"m"), size=1)
    index = Descriptor(media_type="application/vnd.oci.image.index.v1+json", digest=digest_of(b"i"), size=2)
    images = (Indexed(manifest=manifest), Indexed(manifest=manifest, parent=digest_of(b"p"), index=index))
    await content.write_index(images)
    assert content.read_index() == images
    layout.index.write_bytes(b'{"manifests":')
    with pytest.raises(DataLoss, match=r"index\.json"):
        content.read_index()
