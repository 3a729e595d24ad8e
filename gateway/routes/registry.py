"""What is asked of registries: login, search, what is under a name."""

from __future__ import annotations

from shared.contracts import distribution as registries

from ..context import Gateway, reply
from ..http.message import Request, Response
from ..http.router import Route
from ..translate import filters
from ..translate import registry as shown


async def auth(gateway: Gateway, request: Request) -> Response:
    given = shown.auth_config(await gateway.json(request))
    asked = registries.LoginRequest(server_address=given.serveraddress or "", auth=given.credentials())
    done = await gateway.call(registries.LOGIN, asked)
    return reply({"IdentityToken": done.identity_token, "Status": done.status})


async def search(gateway: Gateway, request: Request) -> Response:
    query = request.query
    asked = registries.SearchRequest(
        term=query.get("term"),
        limit=shown.limit(query.get("limit")),
        filters=filters.parse(query.get("filters")),
        auth=shown.credentials(request),
    )
    return reply(shown.found(await gateway.call(registries.SEARCH, asked)))


async def inspect(gateway: Gateway, request: Request) -> Response:
    asked = registries.DistributionRequest(reference=request.params["name"], auth=shown.credentials(request))
    return reply(shown.distribution(await gateway.call(registries.DISTRIBUTION, asked)))


async def referrers(gateway: Gateway, request: Request) -> Response:
    query = request.query
    asked = registries.ReferrersRequest(
        reference=request.params["name"],
        artifact_type=query.get("type"),
        digest=query.get("digest"),
        content=query.flag("content"),
        auth=shown.credentials(request),
    )
    return reply(shown.referrers(await gateway.call(registries.REFERRERS, asked)))


ROUTES = (
    Route("POST", "/auth", auth, "SystemAuth"),
    Route("GET", "/images/search", search, "ImageSearch"),
    Route("GET", "/distribution/{name}/json", inspect, "DistributionInspect"),
    Route("GET", "/distribution/{name}/referrers", referrers, "DistributionReferrers"),
)
