"""What stands around every route: limits on bodies and time, hosts, headers, and figures.

What belongs here: one ASGI layer each. What does not: who a caller is (`auth.py`).
"""

from __future__ import annotations

import asyncio
import time
from ipaddress import ip_address
from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

from swiftbolt_assets.api.replies import Json

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from swiftbolt_assets.api.routes.vitals import Meters

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: What Supabase's clients send; the last three where the page traces its calls.
_ALLOWED_HEADERS = (
    "authorization",
    "x-client-info",
    "apikey",
    "content-type",
    "accept",
    "prefer",
    "x-retry-count",
    "x-region",
    "traceparent",
    "tracestate",
    "baggage",
)
MOST_BODY = 64 * 1024
_BODY_S, _REPLY_S = 10.0, 30.0
_STREAM = "/functions/v1/events"
#: Who asks this restarts what does not answer; a database that hangs is told as one that is down.
_PROBE, _PROBE_S = "/health", 5.0
_HANGS = {"status": "down", "message": f"no answer in {_PROBE_S:.0f} s"}
_UNKNOWN = "unknown"
#: Smaller replies fit some packets as they are.
_WORTH_COMPRESSING = 16 * 1024
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

_VARIED = (b"vary", b"Authorization, apikey")


class SecurityHeaders:
    """Adds the headers that keep a browser to this origin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        is_reply = scope["type"] == "http"
        await self._app(scope, receive, _adding(send, _HEADERS) if is_reply else send)


class Negotiated:
    """Tells caches that what some paths answer depends on the key that is shown.

    Args:
        app: what answers.
        paths: of these.

    """

    def __init__(self, app: ASGIApp, *, paths: Collection[str]) -> None:
        self._app = app
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        is_one = scope["type"] == "http" and scope["path"] in self._paths
        await self._app(scope, receive, _adding(send, (_VARIED,)) if is_one else send)


class KnownHosts:
    """Refuses hosts that are not this server's: a web page elsewhere cannot rebind its name to it.

    Args:
        app: what is protected.
        hosts: names without port; empty for all.

    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and self._hosts and _host(scope) not in self._hosts:
            reply = Json({"error": "Host: it is none of this server's names"}, 400)
            await reply(scope, receive, send)
            return
        await self._app(scope, receive, send)


class CrossOrigin(CORSMiddleware):
    """Lets pages of other origins call what is named, never read the page: it holds a key.

    A browser sends no credentials of its own along, and none would be looked at.

    Args:
        app: what is protected.
        folders: where everything may be called.
        paths: what else may.
        origins: who may call; `*` for all.

    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        folders: Sequence[str],
        paths: Sequence[str],
        origins: Sequence[str],
    ) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=_ALLOWED_HEADERS,
            expose_headers=["Retry-After"],
        )
        self._folders = tuple(f"{folder}/" for folder in folders)
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        path = scope.get("path", "")
        if path.startswith(self._folders) or path in self._paths:
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class Options:
    """Answers OPTIONS of functions, for browsers that are at home here.

    Not a route: one that matches every path would make unknown functions known.

    Args:
        app: what answers everything else.
        prefix: of the functions' paths.

    """

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self._app = app
        self._prefix = f"{prefix}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        is_asked = scope["type"] == "http" and scope["method"] == "OPTIONS"
        if is_asked and scope["path"].startswith(self._prefix):
            reply = PlainTextResponse("ok", headers={"Allow": ", ".join(METHODS)})
            await reply(scope, receive, send)
            return
        await self._app(scope, receive, send)


class Bounds:
    """Bounds what a request may send and how long it may take; streams may last."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(_BODY_S):
                body = await _whole_body(scope, receive)
        except TimeoutError:
            await Json({"error": "body: it did not arrive in time"}, 408)(scope, receive, send)
            return
        except ClientDisconnect:
            return  # half a request is none
        if body is None:
            error = f"body: it exceeds {MOST_BODY} bytes"
            await Json({"error": error}, 413, {"Connection": "close"})(scope, receive, send)
            return
        await self._answer(scope, _replayed(body, receive), send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == _STREAM:
            await self._app(scope, receive, send)
            return
        is_begun = False

        async def noted(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        is_probe = scope["path"] == _PROBE
        try:
            async with asyncio.timeout(_PROBE_S if is_probe else _REPLY_S):
                await self._app(scope, receive, noted)
        except TimeoutError:
            if is_begun:
                raise
            late: dict[str, object] = {"error": "no answer in time; try again"}
            if is_probe:
                late = {"status": "down", "parts": {"database": _HANGS}}
            await Json(late, 503)(scope, receive, send)


class Compressed(GZipMiddleware):
    """Compresses big replies to clients that are elsewhere.

    Two years of quarter hours are 2.6 MB, a tenth of that compressed. On the machine itself, also
    behind a proxy there, it would cost more time than it saves.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, minimum_size=_WORTH_COMPRESSING, compresslevel=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if _is_near(scope):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class Measured:
    """Counts requests and times them, by route.

    Args:
        app: what is measured.
        meters: where to.
        prefix: of the functions' paths, which their routes leave out.

    """

    def __init__(self, app: ASGIApp, *, meters: Meters, prefix: str) -> None:
        self._app = app
        self._meters = meters
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = self._route(scope)
                self._meters.requests.labels(route, str(message["status"])).inc()
                self._meters.seconds.labels(route).observe(time.monotonic() - began)
            await send(message)

        await self._app(scope, receive, noted)

    def _route(self, scope: Scope) -> str:
        path: str = getattr(scope.get("route"), "path", _UNKNOWN)
        is_function = scope["path"].startswith(f"{self._prefix}/") and path != _UNKNOWN
        return self._prefix + path.removeprefix(self._prefix) if is_function else path


def _adding(send: Send, headers: Collection[tuple[bytes, bytes]]) -> Send:
    """Return what sends a reply with some headers more."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return with_headers


async def _whole_body(scope: Scope, receive: Receive) -> bytes | None:
    """Return the body, None when it is too large.

    Raises:
        ClientDisconnect: the caller left before its end.

    """
    length = dict(scope["headers"]).get(b"content-length", b"0")
    if length.isdigit() and int(length) > MOST_BODY:
        return None
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > MOST_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    is_told = False

    async def again() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _host(scope: Scope) -> str:
    text: str = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
    if text.startswith("["):
        return text.partition("]")[0].removeprefix("[")
    return text.partition(":")[0]


def _is_near(scope: Scope) -> bool:
    """Return whether the client is on this machine, or cannot be told."""
    client = scope.get("client")
    try:
        return client is None or ip_address(client[0]).is_loopback
    except ValueError:
        return True
