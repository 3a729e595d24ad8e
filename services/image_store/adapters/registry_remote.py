"""One repository of one registry, by the distribution protocol (OCI distribution-spec 1.1, Docker's Registry API)."""

from __future__ import annotations

import os
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin

import msgspec

from shared.contracts.common import Descriptor
from shared.contracts.distribution import Credentials, Referrer
from shared.digest import check_digest, digest_of
from shared.errors import InvalidArgument

from ..domain import referrers, registry_auth
from ..domain.archive import INDEX_TYPE
from ..domain.manifests import ACCEPTED
from ..domain.registry_answers import RegistryError
from ..domain.registry_endpoints import Endpoint
from ..ports import Document, Progress
from .registry_client import RegistryClient, RegistryTrouble
from .registry_wire import LONGEST_DOCUMENT, Command, Said, Trust


class Remote:
    """See `ports.Repository`. `path` is the repository's name in its registry."""

    def __init__(
        self,
        client: RegistryClient,
        endpoint: Endpoint,
        path: str,
        login: Credentials,
        trust: Trust,
        patience: float,
        actions: tuple[str, ...] = ("pull",),
    ) -> None:
        self._client, self._path = client, path
        self.url, self.is_mirror = endpoint.url, endpoint.mirror
        self.has_answered = False
        self._login, self._trust, self._patience = login, trust, patience
        self._scopes = (registry_auth.scope(path, *actions),) if path else ()

    def _url(self, *parts: str) -> str:
        return "/".join((self.url, "v2", self._path, *parts))

    def _command(self, do: Any, url: str, **more: Any) -> Command:
        return Command(
            **{
                "id": self._client.number(), "do": do, "url": url, "login": self._login, "scopes": self._scopes,
                "trust": self._trust, "patience": self._patience, "whole": self._patience, **more,
            }
        )  # fmt: skip

    async def _ask(self, method: str, url: str, body: bytes = b"", **more: Any) -> tuple[Said, bytes]:
        try:
            said, data = await self._client.exchange(self._command("exchange", url, method=method, **more), body)
        except RegistryError as error:
            self.has_answered = self.has_answered or not isinstance(error, RegistryTrouble) or error.trouble == "final"
            raise
        self.has_answered = True
        return said, data

    async def get(self, url: str) -> bytes:
        """The body of a good answer from anywhere on this endpoint."""
        _, data = await self._ask("GET", url)
        return data

    async def ping(self) -> None:
        try:
            await self._ask("GET", f"{self.url}/v2/")
        except RegistryError as error:
            if not error.status:
                raise

    async def manifest(self, reference: str, size: int = -1) -> Document:
        """Raises `InvalidArgument` for another document than the digest names."""
        headers = {"Accept": ", ".join(ACCEPTED)}
        said, data = await self._ask("GET", self._url("manifests", reference), headers=headers)
        digest = digest_of(data)
        if reference.startswith("sha256:") and digest != reference:
            raise InvalidArgument(f"manifest verification failed for digest {reference}")
        if size not in (-1, len(data)):
            raise InvalidArgument(f"manifest {digest} has {len(data)} bytes, {size} were announced")
        return Document(said.headers.get("content-type", ""), digest, data)

    async def head(self, reference: str) -> str:
        """The digest of a manifest, or "" when the registry does not tell."""
        headers = {"Accept": ", ".join(ACCEPTED)}
        try:
            said, _ = await self._ask("HEAD", self._url("manifests", reference), headers=headers)
            return check_digest(said.headers.get("docker-content-digest", ""))
        except (RegistryError, InvalidArgument):
            return ""

    async def small(self, blob: Descriptor) -> bytes:
        """A blob that fits into memory, verified; `InvalidArgument` for another one."""
        if blob.size > LONGEST_DOCUMENT:
            raise InvalidArgument(f"blob {blob.digest} has {blob.size} bytes, at most {LONGEST_DOCUMENT}")
        _, data = await self._ask("GET", self._url("blobs", blob.digest))
        if digest_of(data) != blob.digest:
            raise InvalidArgument(f"verification failed for digest {blob.digest}")
        return data

    async def fetch(self, blob: Descriptor, file: Path, told: Progress) -> None:
        """See `ports.BlobSource`."""
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            begin = os.fstat(descriptor).st_size
            if begin > blob.size:
                os.ftruncate(descriptor, begin := 0)
            command = self._command("download", self._url("blobs", blob.digest), begin=begin, size=blob.size)
            said = await self._transfer(command, descriptor, told)
            if said.size != blob.size:
                raise RegistryError(f'Get "{command.url}": unexpected EOF')
            if said.digest != blob.digest:
                os.ftruncate(descriptor, 0)
                again = begin != 0  # what came before may have been wrong
                raise RegistryError(f"filesystem layer verification failed for digest {blob.digest}", again=again)
        finally:
            os.close(descriptor)

    async def _transfer(self, command: Command, descriptor: int, told: Progress) -> Said:
        try:
            return await self._client.transfer(command, descriptor, told)
        except RegistryTrouble as error:
            if error.trouble in ("reset", "large"):
                os.ftruncate(descriptor, 0)
            raise

    async def has(self, digest: str) -> bool:
        try:
            await self._ask("HEAD", self._url("blobs", digest))
            return True
        except RegistryError as error:
            if not error.status:
                raise
            return False  # an answer without a body: what is wrong, if it is, the upload is told in full

    async def mount(self, digest: str, source: str) -> str:
        scopes = (*self._scopes, registry_auth.scope(source, "pull"))
        query = urlencode({"mount": digest, "from": source})
        try:
            said, _ = await self._ask("POST", f"{self._url('blobs', 'uploads')}/?{query}", scopes=scopes)
        except RegistryError as error:
            if not error.status:
                raise
            return await self.begin()  # who may not read there can still write here
        return "" if said.status == HTTPStatus.CREATED else self._location(said)

    async def begin(self) -> str:
        said, _ = await self._ask("POST", f"{self._url('blobs', 'uploads')}/")
        return self._location(said)

    def _location(self, said: Said) -> str:
        location = urljoin(self.url, said.headers.get("location", ""))
        if not said.headers.get("location") or not location.startswith(("http://", "https://")):
            raise RegistryError(f"the registry does not say where to upload to: {location[:200]!r}", again=False)
        return location

    async def put(self, location: str, blob: Descriptor, file: Path, told: Progress) -> None:
        await self._upload("PUT", with_digest(location, blob.digest), file, told)

    async def put_packed(self, location: str, file: Path, told: Progress) -> Descriptor:
        sent = await self._upload("PATCH", location, file, told, compress=True)
        await self._ask("PUT", with_digest(self._location(sent), sent.digest), headers={"Content-Length": "0"})
        return Descriptor(media_type="", digest=sent.digest, size=sent.size)

    async def _upload(self, method: str, url: str, file: Path, told: Progress, compress: bool = False) -> Said:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            headers = {"Content-Type": "application/octet-stream"}
            command = self._command("upload", url, method=method, headers=headers, compress=compress)
            return await self._client.transfer(command, descriptor, told)
        finally:
            os.close(descriptor)

    async def put_manifest(self, reference: str, document: Document) -> None:
        headers = {"Content-Type": document.media_type}
        said, _ = await self._ask("PUT", self._url("manifests", reference), document.data, headers=headers)
        subject = referrers.subject_of(document)
        if subject and not said.headers.get("oci-subject"):
            await self._refer(subject, document)

    async def _refer(self, subject: str, document: Document) -> None:
        """For a registry that does not know referrers: in the index under the fallback tag."""
        tag = referrers.fallback_tag(subject)
        index = referrers.with_referrer(await self._tagged(tag), document)
        if index is not None:
            headers = {"Content-Type": index.media_type}
            await self._ask("PUT", self._url("manifests", tag), index.data, headers=headers)

    async def _tagged(self, tag: str) -> Document | None:
        try:
            return await self.manifest(tag)
        except RegistryError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return None

    async def referrers(self, digest: str, artifact_type: str) -> tuple[Referrer, ...]:
        query = f"?{urlencode({'artifactType': artifact_type})}" if artifact_type else ""
        url, seen = self._url("referrers", digest) + query, set()
        found: list[Referrer] = []
        try:
            while url and url not in seen and len(found) < referrers.MOST_REFERRERS:
                seen.add(url)
                said, data = await self._ask("GET", url, headers={"Accept": INDEX_TYPE})
                media_type = said.headers.get("content-type", "")
                found += referrers.listed(Document(media_type=media_type, digest=digest_of(data), data=data))
                url = _next(url, said.headers.get("link", ""))
        except RegistryError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            index = await self._tagged(referrers.fallback_tag(digest))
            return () if index is None else referrers.listed(index)
        return tuple(found)

    async def login(self) -> str:
        url = f"{self.url}/v2/"
        try:
            said, _ = await self._ask("GET", url, offline=True)
        except RegistryError as error:
            if not error.status or error.is_of_login:
                raise
            text = f"login attempt to {url} failed with status: {error.status} {HTTPStatus(error.status).phrase}"
            raise RegistryError(text, again=False) from None
        return said.identity_token

    async def tags(self) -> tuple[str, ...]:
        """All tags of the repository, in the registry's order."""
        found: list[str] = []
        url = self._url("tags", "list")
        seen = set()
        while url and url not in seen and len(found) < MOST_TAGS:
            seen.add(url)
            said, data = await self._ask("GET", url)
            try:
                found += msgspec.json.decode(data, type=_Tags).tags or []
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise RegistryError(f"tags of {self._path}: {error}", again=False) from None
            url = _next(url, said.headers.get("link", ""))
        return tuple(dict.fromkeys(found))


MOST_TAGS = 10_000


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


def with_digest(location: str, digest: str) -> str:
    """Where an upload ends: the digest is added to what the registry has in the address already."""
    return f"{location}{'&' if '?' in location else '?'}{urlencode({'digest': digest})}"


def _next(url: str, link: str) -> str:
    """The next page, on the same server only."""
    target = link.partition(";")[0].strip().removeprefix("<").removesuffix(">")
    following = urljoin(url, target) if target else ""
    return following if following.split("/")[:3] == url.split("/")[:3] else ""
