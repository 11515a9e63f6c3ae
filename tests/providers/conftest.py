"""A loopback server that plays a script of raw bytes, and clients that talk to it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from resources.providers.endpoint import Secret
from resources.providers.http import Bounds, Transport
from resources.providers.rate_limit import Unlimited

if TYPE_CHECKING:
    from resources.providers.contract import RequestRecord

KEY = "sekret-Key_0123456789"

#: Bytes to send before the connection is closed, or what to do with the connection.
Act = bytes | Callable[[socket.socket], None]


class Wire:
    """The server: answers the n-th request with the n-th act, the last one again and again."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.acts: list[Act] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @staticmethod
    def reply(body: object, status: int = 200, **headers: str) -> bytes:
        """Return a whole reply; a dict or list becomes JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {"Content-Length": str(len(raw)), "Connection": "close"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + raw

    def script(self, *acts: Act) -> None:
        self.acts = list(acts)

    @property
    def paths(self) -> list[str]:
        return [urlsplit(head.split(" ")[1]).path for head in self.heads]

    def query(self, number: int) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.heads[number].split(" ")[1]).query)

    def close(self) -> None:
        self._listener.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(65536)
            if not more:
                return
            head += more
        self.heads.append(head.decode())
        act = self.acts[min(len(self.heads), len(self.acts)) - 1]
        try:
            if isinstance(act, bytes):
                connection.sendall(act)
            else:
                act(connection)
        except OSError:
            return  # the client has hung up: the test asks what it made of that


@pytest.fixture
def wire() -> Iterator[Wire]:
    server = Wire()
    yield server
    server.close()


class Talk:
    """A transport to the server, with its records and waits."""

    def __init__(self, wire: Wire, name: str, bounds: Bounds) -> None:
        self.records: list[RequestRecord] = []
        self.limiter = Waits()
        self.transport = Transport(
            wire.url,
            name=name,
            key=Secret(KEY, f"{name.upper()}_KEY"),
            limiter=self.limiter,
            record=self.records.append,
            bounds=bounds,
        )

    @property
    def outcomes(self) -> list[str]:
        return [record.outcome for record in self.records]


class Waits(Unlimited):
    """No limit; a push is noted instead of waited out."""

    def __init__(self) -> None:
        super().__init__()
        self.pushes: list[float] = []
        self.limits: list[int] = []

    def push(self, seconds: float) -> None:
        self.pushes.append(seconds)

    def configure(self, per_minute: int) -> None:
        self.limits.append(per_minute)


@pytest.fixture
def talk(wire: Wire) -> Iterator[Callable[..., Talk]]:
    """Return a maker of transports that hardly wait between attempts."""
    made: list[Talk] = []

    def make(name: str = "polygon", **bounds: Any) -> Talk:  # noqa: ANN401 - fields of Bounds
        made.append(Talk(wire, name, Bounds(**{"first_wait_s": 0.001, **bounds})))
        return made[-1]

    yield make
    for one in made:
        one.transport.close()
