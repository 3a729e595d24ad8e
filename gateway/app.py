"""The gateway as a whole: finds the operation of a request, answers its errors, listens and drains."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from shared import telemetry
from shared.errors import InvalidArgument, ShoalError
from shared.ids import new_token
from shared.service import Kernel
from shared.tasks import TaskGroup

from .context import Gateway
from .http import errors, version
from .http.connection import Connection
from .http.errors import HttpError
from .http.inbox import ClientGone
from .http.kept import Kept
from .http.listen import Listener
from .http.message import Request, Response
from .http.router import Route, Router
from .http.tls import Contexts, Files
from .routes.table import ROUTES
from .translate.system import open_addresses

log = logging.getLogger(__name__)

DRAIN_SECONDS = 4.0
"""How long requests under way may take when the gateway stops."""


class App:
    """Serves the Docker API over the listeners it is given."""

    def __init__(self, gateway: Gateway, routes: Sequence[Route] = ROUTES) -> None:
        self._gateway = gateway
        self._router = Router(routes)
        self._tasks = TaskGroup("http")
        self._connections: set[Connection] = set()
        self._kept = Kept()
        self._listeners: list[Listener] = []

    async def answer(self, request: Request) -> Response | None:
        """Every request's way. Never raises but `ClientGone` and cancellation: an error becomes an answer."""
        try:
            return await self._dispatch(request)
        except ShoalError as error:
            return self._after_start(request, errors.from_error(error))
        except HttpError as error:
            return self._after_start(request, errors.refusal(error.status, error.message, error.close))
        except ClientGone:
            raise
        except Exception:
            number = new_token()[:12]
            log.exception("request %s %s failed: error %s", request.method, request.path, number)
            return self._after_start(request, errors.refusal(500, f"internal error {number}: see the gateway's log"))

    @staticmethod
    def _after_start(request: Request, response: Response) -> Response | None:
        """Once an answer has begun, only breaking it off tells the client that it failed."""
        if request.connection.answering:
            request.connection.abort()
            return None
        return response

    async def _dispatch(self, request: Request) -> Response | None:
        if request.method == "OPTIONS":
            return Response(200)
        request.version, request.path = version.split(request.path)
        route, request.params = self._router.find(request.method, request.path)
        if not route.traced:
            return await route.handler(self._gateway, request)
        with telemetry.server_span(route.span, request.headers):
            return await route.handler(self._gateway, request)

    def connection(self) -> Connection:
        return Connection(self.answer, self._tasks, self._connections, self._kept)

    async def listen(self, listener: Listener) -> None:
        """Starts to serve one address."""
        await listener.open(self.connection)
        self._listeners.append(listener)

    @property
    def at_rest(self) -> bool:
        """Whether no client is connected."""
        return not self._connections

    async def close(self) -> None:
        """Stops listening; requests under way end, at most within `DRAIN_SECONDS`."""
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._connections):
            connection.drain_and_close()
        await self._tasks.drain(DRAIN_SECONDS)
        await self._tasks.close()
        for connection in tuple(self._connections):
            connection.abort()
        await asyncio.sleep(0)  # aborted transports report back in the next turn


class GatewayService:
    """The gateway as the kernel runs it: it answers no endpoint."""

    def __init__(self, kernel: Kernel, app: App) -> None:
        self._kernel, self._app = kernel, app

    async def start(self) -> None:
        for listener in addresses(self._kernel):
            await self._app.listen(listener)

    def at_rest(self) -> bool:
        """Whether another process may take over unnoticed: the unix socket outlives this one, no other address does."""
        return self._app.at_rest and not self._kernel.settings.hosts

    async def close(self) -> None:
        await self._app.close()


def addresses(kernel: Kernel) -> list[Listener]:
    """The unix socket, and what `hosts` adds. Raises `InvalidArgument` for an address it cannot serve.

    Without certificates a tcp address is refused, unless it is asked for: then it is warned of, loudly.
    """
    settings = kernel.settings
    tls = Contexts(Files(settings.tls_cert, settings.tls_key, settings.tls_ca)) if settings.tls_cert else None
    for text in open_addresses(settings):
        if tls is None and not settings.tcp_without_tls:
            raise InvalidArgument(
                f"hosts: {text} The settings tls_cert, tls_key and tls_ca encrypt it; tcp_without_tls allows it so."
            )
        log.warning("%s", text)
    return [
        Listener.unix(settings.socket_path, settings.socket_group),
        *(Listener.parse(host, settings.socket_group, tls) for host in settings.hosts),
    ]
