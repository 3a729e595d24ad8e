"""Operations that this engine does not have yet: each is routed, and says so."""

from __future__ import annotations

from shared.errors import NotFound, NotImplementedYet

from ..context import Gateway, reply
from ..http.message import Request, Response
from ..http.router import Operation, Route


def absent(what: str) -> Operation:
    """A handler that answers 501, naming what is missing."""

    async def handler(gateway: Gateway, request: Request) -> Response:
        raise NotImplementedYet(f"{what} is not implemented by this engine yet")

    return handler


async def no_plugins(gateway: Gateway, request: Request) -> Response:
    return reply([])


async def no_plugin(gateway: Gateway, request: Request) -> Response:
    raise NotFound(f'plugin "{request.params["name"]}" not found')


async def no_page(gateway: Gateway, request: Request) -> Response:
    raise NotFound("page not found")


_DEBUG = ("vars", "pprof/", "pprof/cmdline", "pprof/profile", "pprof/symbol", "pprof/trace", "pprof/{name}")
ROUTES = (
    Route("GET", "/images/{name}/attestations", absent("reading attestations"), "ImageAttestations"),
    Route("POST", "/session", absent("a BuildKit session"), "Session"),
    Route("POST", "/grpc", absent("BuildKit"), "GRPCUpgrade"),
    Route("GET", "/plugins", no_plugins, "PluginList"),
    Route("GET", "/plugins/privileges", absent("docker plugin"), "GetPluginPrivileges"),
    Route("POST", "/plugins/pull", absent("docker plugin"), "PluginPull"),
    Route("POST", "/plugins/create", absent("docker plugin"), "PluginCreate"),
    Route("GET", "/plugins/{name}/json", no_plugin, "PluginInspect"),
    Route("DELETE", "/plugins/{name}", no_plugin, "PluginDelete"),
    Route("POST", "/plugins/{name}/enable", no_plugin, "PluginEnable"),
    Route("POST", "/plugins/{name}/disable", no_plugin, "PluginDisable"),
    Route("POST", "/plugins/{name}/upgrade", no_plugin, "PluginUpgrade"),
    Route("POST", "/plugins/{name}/push", no_plugin, "PluginPush"),
    Route("POST", "/plugins/{name}/set", no_plugin, "PluginSet"),
    *(Route("GET", f"/debug/{page}", no_page, "Debug") for page in _DEBUG),
)
