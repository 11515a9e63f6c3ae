"""The API on a socket, until it is told to stop.

What belongs here: listening and the server's life. What does not: what is answered (`app.py`).
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import uvicorn

from swiftbolt_assets.api.app import build_app
from swiftbolt_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from resources.postgres.database import Database
    from swiftbolt_assets.api.keys import ApiKeys
    from swiftbolt_assets.settings import Settings

_BACKLOG = 512
_STOP_S = 3
_KEEP_ALIVE_S = 65


class _Server(uvicorn.Server):
    """Ends open streams before it waits for connections to end."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        app: FastAPI = self.config.app  # type: ignore[assignment]
        app.state.api.newsroom.close()
        await super().shutdown(sockets)


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Hold a listening socket; port 0 takes a free one.

    Raises:
        ConfigurationError: the address cannot be listened on.

    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    with listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            raise ConfigurationError(
                f"host: the API cannot listen on {host}:{port} ({error.strerror}); stop what "
                "listens there, or choose another --host or --port-offset"
            ) from error
        yield listener


def server(settings: Settings, database: Database, keys: ApiKeys, host: str) -> uvicorn.Server:
    """Return the server, not yet running; run it on a listening socket."""
    return _Server(
        uvicorn.Config(
            build_app(settings, database, keys, host),
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            ws="none",
            lifespan="on",
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_STOP_S,
            # A proxy's word on who called counts for nothing: no decision goes by it.
            proxy_headers=False,
        )
    )
