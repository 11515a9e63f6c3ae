"""A deadline for a whole request, kept below httpx.

httpx bounds each read, so a server that sends a byte now and then is listened to for ever. A slot
of the limiter is leased for a bounded time, so a request must end within it. What belongs here:
the network backend that bounds every operation by what is left. What does not: what is sent
(`http.py`).
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

    import httpx


class Deadlines:
    """The deadline of the request that each thread has under way."""

    def __init__(self) -> None:
        self._thread = threading.local()

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Bound the network operations of this thread by a `time.monotonic()`."""
        self._thread.deadline = deadline
        try:
            yield
        finally:
            del self._thread.deadline

    def left(self, timeout: float | None, late: type[httpcore.TimeoutException]) -> float | None:
        """Return the shorter of an operation's own time-out and what is left.

        Raises:
            httpcore.TimeoutException: nothing is left; of the type that httpx understands.

        """
        deadline = getattr(self._thread, "deadline", None)
        if deadline is None:
            return timeout
        seconds: float = deadline - time.monotonic()
        if seconds <= 0:
            raise late("the whole request takes too long")
        return seconds if timeout is None else min(seconds, timeout)

    def bind(self, client: httpx.Client) -> None:
        """Put the backend below a client's pools; httpx has no public way to hand one in."""
        for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - see above
            pool: Any = getattr(transport, "_pool", None)
            if pool is not None:
                pool._network_backend = _Backend(pool._network_backend, self)  # noqa: SLF001


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, deadlines: Deadlines) -> None:
        self._inner = inner
        self._deadlines = deadlines

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadlines.left(timeout, httpcore.ConnectTimeout)
        stream = self._inner.connect_tcp(host, port, left, local_address, socket_options)
        return _Stream(stream, self._deadlines)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadlines: Deadlines) -> None:
        self._inner = inner
        self._deadlines = deadlines

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._deadlines.left(timeout, httpcore.ReadTimeout)
        return self._inner.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadlines.left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._deadlines.left(timeout, httpcore.ConnectTimeout)
        stream = self._inner.start_tls(ssl_context, server_hostname, left)
        return _Stream(stream, self._deadlines)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the signature of httpcore
        return self._inner.get_extra_info(info)
