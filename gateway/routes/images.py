"""Images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from shared.contracts import image_store
from shared.contracts.common import Platform
from shared.contracts.container import MountPoint
from shared.errors import InvalidArgument, NotFound
from shared.reference import Reference, beside, with_tag

from .. import everywhere
from ..context import CREATED, Gateway, reply
from ..http.message import Request, Response
from ..http.router import Route
from ..progress import download, transfer
from ..sources import Unchanged
from ..translate import filters, registry
from ..translate import image as shown
from ..translate.create import parse_platform
from ..translate.manifests import manifest_summaries
from ..translate.merged import merged
from ..translate.status import is_running

_PULLED, _PUSHED = (b'"Status: ', b'"WARNING: '), (b'"aux":',)
"""What the last line of a pull and of a push has."""
_TAR = (("Content-Type", "application/x-tar"),)


async def list_(gateway: Gateway, request: Request) -> Response:
    query = request.query
    wanted = filters.parse(query.get("filters"))
    if request.version < (1, 41) and query.get("filter") and "reference" not in wanted:
        wanted["reference"] = (query.get("filter"),)
    if request.version >= (1, 54) and query.flag("identity") and not query.flag("manifests"):
        raise InvalidArgument("conflicting options: identity requires manifests=1")
    shared_size = query.flag("shared-size") and request.version >= (1, 42)
    manifests = query.flag("manifests") and request.version >= (1, 47)
    asked = image_store.ListRequest(filters=wanted, all=query.flag("all"), shared_size=shared_size, manifests=manifests)
    sources = gateway.sources
    counted = (sources.containers,) if manifests or request.version >= (1, 51) else ()
    fresh = None if wanted or gateway.kernel.clustered else Unchanged(sources.images, *counted)
    found = merged(list((await everywhere.ask_all(gateway, image_store.LIST, lambda _: asked)).values()))
    uses = _containers(gateway)
    listed = shown.summaries(found, request.version, {image_id: len(ids) for image_id, ids in uses.items()})
    if manifests:
        for entry, image in zip(listed, found.images, strict=True):
            entry["Manifests"] = manifest_summaries(image, uses)
    return reply(listed, fresh=fresh)


def _containers(gateway: Gateway) -> dict[str, list[str]]:
    """The ids of the containers of each image."""
    found: dict[str, list[str]] = {}
    for one in gateway.containers.all():
        found.setdefault(one.spec.image_id, []).append(one.id)
    return found


async def find(
    gateway: Gateway, reference: str, platform: Platform | None = None, manifests: bool = False
) -> tuple[str, image_store.Image]:
    """The host that has an image, this one first, and the image."""

    def asked(reference: str) -> image_store.ResolveRequest:
        return image_store.ResolveRequest(reference=reference, platform=platform, manifests=manifests)

    return await everywhere.find(
        gateway, image_store.RESOLVE, asked, reference, lambda image: image.id, image_store.WHICH_IMAGE
    )


async def _resolve(
    gateway: Gateway, request: Request, since: tuple[int, int], manifests: bool = False
) -> tuple[image_store.Image, bool]:
    """The image that the path names, and whether it is this host's: nobody tells of changes of another one's."""
    platform = json_platform(request.query.get("platform")) if request.version >= since else None
    node, image = await find(gateway, request.params["name"], platform, manifests)
    return image, node == gateway.kernel.node


async def _bring(gateway: Gateway, references: Iterable[str], platform: Platform | None = None) -> None:
    """What only other hosts have comes here, with all platforms of its names; what nobody has is for the image store to
    say.
    """
    for reference in references if gateway.kernel.clustered else ():
        try:
            node, _ = await find(gateway, reference, platform)
        except NotFound:
            continue
        if node == gateway.kernel.node:
            continue
        family = await _family(gateway, reference, node)
        free = [name for name in family[0].repo_tags if not await _is_known(gateway, name)]
        for image in family:
            if image.descriptor is not None:
                names = tuple(name for name in image.repo_tags if name in free)
                asked = image_store.FetchRequest(manifest=image.descriptor, nodes=(node,), names=names)
                await gateway.call(image_store.FETCH, asked)


async def _family(gateway: Gateway, reference: str, node: str) -> list[image_store.Image]:
    """What a host means by a reference, and the images of other platforms for which that stands."""

    async def resolve(reference: str) -> image_store.Image:
        asked = image_store.ResolveRequest(reference=reference, manifests=True)
        return await everywhere.ask(gateway, image_store.RESOLVE, asked, node)

    image = await resolve(reference)
    return [image, *[await resolve(one.image_id) for one in image.manifests if one.image_id != image.id]]


async def _is_known(gateway: Gateway, name: str) -> bool:
    """Whether it means an image here."""
    try:
        await gateway.call(image_store.RESOLVE, image_store.ResolveRequest(reference=name))
    except NotFound:
        return False
    return True


async def inspect(gateway: Gateway, request: Request) -> Response:
    query = request.query
    if request.version >= (1, 49) and query.flag("manifests") and query.get("platform"):
        raise InvalidArgument("conflicting options: manifests and platform options cannot both be set")
    manifests = query.flag("manifests") and request.version >= (1, 48)
    sources = gateway.sources
    fresh = Unchanged(sources.images, *((sources.containers,) if manifests else ()))
    image, is_here = await _resolve(gateway, request, since=(1, 49), manifests=manifests)
    result = shown.inspect(image, request.version)
    if manifests:
        result["Manifests"] = manifest_summaries(image, _containers(gateway))
    return reply(result, fresh=fresh if is_here else None)


async def history(gateway: Gateway, request: Request) -> Response:
    fresh = Unchanged(gateway.sources.images)
    image, is_here = await _resolve(gateway, request, since=(1, 48))
    return reply(shown.history(image), fresh=fresh if is_here else None)


async def tag(gateway: Gateway, request: Request) -> Response:
    """Where the image is; one that only another host has comes here, where the name means another one so far."""
    query, source = request.query, request.params["name"]
    node = (await find(gateway, source))[0] if gateway.kernel.clustered else gateway.kernel.node
    if node != gateway.kernel.node and await _is_known(gateway, str(with_tag(query.get("repo"), query.get("tag")))):
        await _bring(gateway, (source,))
        node = gateway.kernel.node
    asked = image_store.TagRequest(source=source, repository=query.get("repo"), tag=query.get("tag"))
    await everywhere.ask(gateway, image_store.TAG, asked, node)
    return CREATED


def _mounted(points: tuple[MountPoint, ...]) -> Iterator[str]:
    return (point.spec.source for point in points if point.type == "image" and point.spec is not None)


def users(gateway: Gateway) -> tuple[dict[str, str], tuple[str, ...]]:
    """Image ids with one container that uses each, a running one first; and those of running containers.

    Of all hosts: an image is in use for each of them when it is for one.
    """
    in_use: dict[str, str] = {}
    running = []
    for one in gateway.containers.all():
        for image_id in (one.spec.image_id, *_mounted(one.spec.mounts)):
            if is_running(one.status):
                running.append(image_id)
                in_use[image_id] = one.id
            in_use.setdefault(image_id, one.id)
    return in_use, tuple(dict.fromkeys(running))


async def remove(gateway: Gateway, request: Request) -> Response:
    name, chosen = shown.require_name(request.params["name"]), request.query.all("platforms")
    platforms: list[Platform | None] = [None]
    if chosen and request.version >= (1, 50):
        platforms = [json_platform(each) for each in chosen]
    holders = await _holders(gateway, name)
    for node in holders:
        await everywhere.catch_up(gateway, node)
    in_use, running = users(gateway)
    asked = image_store.RemoveRequest(
        reference=name,
        force=request.query.flag("force"),
        no_prune=request.query.flag("noprune"),
        in_use=in_use,
        running=running,
    )
    lines: dict[image_store.Removed, None] = {}
    for node in holders:
        lines |= dict.fromkeys(await _remove(gateway, asked, platforms, node))
    return reply(shown.removed(tuple(lines)))


async def _holders(gateway: Gateway, name: str) -> list[str]:
    """The hosts where a name means the same image as here, or as on the only others that have it."""
    if not gateway.kernel.clustered:
        return [gateway.kernel.node]
    node, image = await find(gateway, name)
    asked = image_store.ResolveRequest(reference=name)
    others = {other: asked for other in gateway.hosts.present() if other != node}
    answers = await everywhere.ask_each(gateway, image_store.RESOLVE, others)
    same = [other for other, found in answers.items() if isinstance(found, image_store.Image) and found.id == image.id]
    return [node, *same]


async def _remove(
    gateway: Gateway, asked: image_store.RemoveRequest, platforms: list[Platform | None], node: str
) -> list[image_store.Removed]:
    """From one host."""
    if len(platforms) > 1:  # all of them or none; each once, however it is called
        resolved = [image_store.ResolveRequest(reference=asked.reference, platform=each) for each in platforms]
        found = [await everywhere.ask(gateway, image_store.RESOLVE, each, node) for each in resolved]
        platforms = list({each.id: each.platform for each in found}.values())
    lines: list[image_store.Removed] = []
    for platform in platforms:
        wanted = msgspec.structs.replace(asked, platform=platform)
        lines += (await everywhere.ask(gateway, image_store.REMOVE, wanted, node)).removed
    return lines


async def prune(gateway: Gateway, request: Request) -> Response:
    wanted = filters.parse(request.query.get("filters"), ("dangling", "label", "label!", "until"))
    filters.boolean(wanted, "dangling", True)
    nodes = await everywhere.settled(gateway)
    asked = image_store.PruneRequest(filters=wanted, in_use=tuple(users(gateway)[0]))
    done = await everywhere.prune_all(gateway, image_store.PRUNE, dict.fromkeys(nodes, asked))
    names = dict.fromkeys(name for report in done.values() for name in report.removed)
    deleted = [{"Deleted" if name.startswith("sha256:") else "Untagged": name} for name in names]
    freed = sum(report.bytes_freed for report in done.values())
    return reply({"ImagesDeleted": deleted or None, "SpaceReclaimed": freed})


async def load(gateway: Gateway, request: Request) -> Response | None:
    asked = image_store.LoadRequest(quiet=request.query.flag("quiet", default=True), **_platforms(request))
    return await transfer(gateway, request, await gateway.call(image_store.LOAD, asked), errors_as_lines=True)


async def create(gateway: Gateway, request: Request) -> Response | None:
    """Pull (`fromImage`) or import (`fromSrc`)."""
    query = request.query
    platform = parse_platform(query.get("platform")) if request.version >= (1, 32) and query.get("platform") else None
    if query.get("fromImage"):
        return await _pull(gateway, request, platform)
    source = query.get("fromSrc")
    asked = image_store.ImportRequest(
        source="" if source == "-" else _url(source),
        repository=query.get("repo"),
        tag=query.get("tag"),
        message=query.get("message") or f"Imported from {source}",
        changes=query.all("changes"),
        platform=platform,
    )
    return await transfer(gateway, request, await gateway.call(image_store.IMPORT, asked))


def _url(text: str) -> str:
    """What is imported from; without a scheme it is meant to be HTTP."""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidArgument(f'Get "{url}": invalid URL: {error}') from None
    if parts.scheme.lower() not in ("http", "https"):
        raise InvalidArgument(f'Get "{url}": unsupported protocol scheme "{parts.scheme}"')
    if not parts.hostname:
        raise InvalidArgument(f'Get "{url}": http: no Host in request URL')
    return url


async def _pull(gateway: Gateway, request: Request, platform: Platform | None) -> Response | None:
    """Without a tag, all of them (an old form of the CLI's `-a` ends in a colon)."""
    reference = beside(request.query.get("fromImage"), request.query.get("tag"))
    asked = image_store.PullRequest(
        reference=str(reference),
        platform=platform,
        auth=registry.credentials(request),
        all_tags=_names_all(reference),
    )
    return await download(gateway, request, await gateway.call(image_store.PULL, asked), ends=_PULLED)


async def push(gateway: Gateway, request: Request) -> Response | None:
    """Without a tag, all of them."""
    reference = beside(request.params["name"], request.query.get("tag"))
    if not _names_all(reference):
        await _bring(gateway, (str(reference),), _one_platform(request, since=(1, 46)))
    asked = image_store.PushRequest(
        reference=str(reference),
        platform=_one_platform(request, since=(1, 46)),
        auth=registry.credentials(request),
        all_tags=_names_all(reference),
    )
    return await download(gateway, request, await gateway.call(image_store.PUSH, asked), ends=_PUSHED)


def _names_all(reference: Reference) -> bool:
    """Without tag and digest it stands for the whole repository."""
    return not reference.tag and not reference.digest


async def save(gateway: Gateway, request: Request) -> Response | None:
    return await _save(gateway, request, (request.params["name"],))


async def save_several(gateway: Gateway, request: Request) -> Response | None:
    names = tuple(name for text in request.query.all("names") for name in text.split(","))
    if not names:
        raise InvalidArgument("no images specified: the query parameter names is missing")
    return await _save(gateway, request, names)


async def _save(gateway: Gateway, request: Request, names: tuple[str, ...]) -> Response | None:
    await _bring(gateway, names, _one_platform(request, since=(1, 48)) if request.version < (1, 52) else None)
    asked = image_store.SaveRequest(references=names, **_platforms(request))
    return await download(gateway, request, await gateway.call(image_store.SAVE, asked), _TAR, archive=True)


def _platforms(request: Request) -> dict[str, Any]:
    """What a load or save is asked for: since API 1.52 several."""
    values = request.query.all("platform")
    if request.version < (1, 52) or len(values) < 2:
        return {"platform": _one_platform(request, since=(1, 48))}
    found = [json_platform(each) for each in values]
    return {"platforms": tuple(each for each in found if each is not None)}


def _one_platform(request: Request, since: tuple[int, int]) -> Platform | None:
    values = request.query.all("platform")
    if request.version < since or not values:
        return None
    if len(values) > 1:
        raise InvalidArgument(
            "multiple platform parameters are not supported in this API version; use API version 1.52 or later"
            if request.version < (1, 52)
            else "multiple platforms are not supported by a push"
        )
    return json_platform(values[0])


def json_platform(text: str) -> Platform | None:
    """A platform in OCI's JSON form; raises `InvalidArgument`."""
    if not text:
        return None
    try:
        value = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidArgument(f"failed to parse platform: {error}") from None
    system, architecture, variant = (value.get(name) or "" for name in ("os", "architecture", "variant"))
    if not all(isinstance(part, str) for part in (system, architecture, variant)):
        raise InvalidArgument(f"failed to parse platform: {text[:100]}")
    if not system or not architecture:
        raise InvalidArgument("both OS and Architecture must be provided")
    return Platform(os=system, architecture=architecture, variant=variant)


ROUTES = (
    Route("GET", "/images/json", list_, "ImageList"),
    Route("POST", "/images/create", create, "ImageCreate"),
    Route("POST", "/images/load", load, "ImageLoad"),
    Route("POST", "/images/prune", prune, "ImagePrune"),
    Route("GET", "/images/get", save_several, "ImageGetAll"),
    Route("GET", "/images/{name}/get", save, "ImageGet"),
    Route("GET", "/images/{name}/json", inspect, "ImageInspect"),
    Route("GET", "/images/{name}/history", history, "ImageHistory"),
    Route("POST", "/images/{name}/tag", tag, "ImageTag"),
    Route("POST", "/images/{name}/push", push, "ImagePush"),
    Route("DELETE", "/images/{name}", remove, "ImageDelete"),
)
