"""The simulator on a socket: for the shell until it is stopped, or in a thread for tests.

What belongs here: sockets, the server's life. What does not: what is answered (`app.py`).
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Self

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from swiftbolt_assets.errors import ConfigurationError, SwiftBoltError
from swiftbolt_assets.simulator.app import TRANSPORT, build_app
from swiftbolt_assets.simulator.config import DEFAULT_PORT, LOOPBACK, SimulatorConfig

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType

    from starlette.types import ASGIApp, Receive, Scope, Send

_BACKLOG = 256
_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.01


class _Protocol(H11Protocol):
    """Hands each request its connection, so that a fault can close it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app: ASGIApp = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, TRANSPORT: transport}, receive, send)

        self.app = with_transport


def _server(config: SimulatorConfig) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            build_app(config),
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigurationError: the port is taken or the host is none of this machine.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"port: the simulator cannot listen on {host}:{port} ({error.strerror}); "
            "stop what uses it or choose another --port-offset"
        ) from error
    return listener


def serve(config: SimulatorConfig, host: str = LOOPBACK, port: int = DEFAULT_PORT) -> None:
    """Serve until the process is told to stop (SIGINT, SIGTERM).

    Raises:
        ConfigurationError: the address cannot be listened on.

    """
    listener = _listen(host, port)
    with listener:
        _server(config).run(sockets=[listener])


class SimulatorThread:
    """A simulator in a thread of this process, over real HTTP on loopback.

    A context manager; port 0 takes a free one.
    """

    def __init__(
        self, config: SimulatorConfig | None = None, *, host: str = LOOPBACK, port: int = 0
    ) -> None:
        self._server = _server(config or SimulatorConfig())
        self._listener = _listen(host, port)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listener],), name="simulator", daemon=True
        )
        bound = self._listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self._url = f"http://{shown}:{bound}"

    @property
    def polygon_url(self) -> str:
        """Return the base URL of Polygon, without a trailing slash."""
        return self._url

    @property
    def tradier_url(self) -> str:
        """Return the base URL of Tradier, the same one."""
        return self._url

    def start(self) -> Self:
        """Start serving; the socket accepts connections when this returns.

        Raises:
            SwiftBoltError: the server's thread ended or did not start in time.

        """
        self._thread.start()
        waited = threading.Event()
        for _ in range(int(_START_SECONDS / _POLL_SECONDS)):
            if self._server.started:
                return self
            if not self._thread.is_alive():
                break
            waited.wait(_POLL_SECONDS)
        raise SwiftBoltError("simulator: it did not start; see the traceback of its thread")

    def stop(self) -> None:
        """Stop serving and release the port; repeatable."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)
        self._listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
