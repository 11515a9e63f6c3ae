"""What every reply has in common: JSON as the clients decode it, and errors as one line.

What belongs here: the error, its handlers and the serializer. What does not: what is answered.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from swiftbolt_assets.errors import (
    ProviderError,
    RateLimitedError,
    RefusedError,
    StorageError,
    SwiftBoltError,
    UsageError,
    one_line,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

_LOG = logging.getLogger(__name__)
_NO_CACHE = {"Cache-Control": "no-store"}
_LINE = 300
_RETRY_S = 5
#: A minute's budget.
_WINDOW_S = 60.0


class HttpError(Exception):
    """An answer other than 200.

    Args:
        status: the HTTP status.
        message: one line for the caller.
        more: further fields of the body.
        retry_after: seconds, for 429 and 503.

    """

    def __init__(
        self,
        status: int,
        message: str,
        more: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.more = dict(more or {})
        self.retry_after = retry_after


class Json(Response):
    """A JSON reply; dataclasses are objects, instants are ISO 8601 in UTC with a Z."""

    media_type = "application/json"

    def __init__(
        self,
        content: Any,  # noqa: ANN401 - anything JSON knows
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(content, status_code, {**_NO_CACHE, **(headers or {})})

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - anything JSON knows
        """Return the body."""
        return encode(content)


def encode(content: Any) -> bytes:  # noqa: ANN401 - anything JSON knows
    """Return JSON of plain values, dataclasses, dates, UUIDs and aware instants."""
    return msgspec.json.encode(content)


def iso(instant: datetime | None) -> str | None:
    """Return an instant as the clients read it, to the second, with a Z."""
    if instant is None:
        return None
    return instant.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def install_handlers(app: FastAPI) -> None:
    """Make every error of an app one line of JSON."""
    app.add_exception_handler(HttpError, _known)
    app.add_exception_handler(SwiftBoltError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _starlette)
    app.add_exception_handler(Exception, _unexpected)


def _known(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HttpError)  # noqa: S101 - the registration says so
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    if error.status == 401:  # noqa: PLR2004
        headers["WWW-Authenticate"] = "Bearer"
    return Json({"error": error.message, **error.more}, error.status, headers)


def _ours(request: Request, error: Exception) -> Response:
    line = one_line(error, _LINE)
    if isinstance(error, UsageError):
        return Json({"error": line}, 400)
    if isinstance(error, RefusedError):
        return Json({"error": line}, 403)
    if isinstance(error, RateLimitedError):
        seconds = max(1, round(error.retry_after or _WINDOW_S))
        body = {"error": "Rate limit exceeded", "retry_after": seconds}
        return Json(body, 429, {"Retry-After": str(seconds)})
    _LOG.warning("%s: %s", request.url.path, line)
    status = 503 if isinstance(error, StorageError | ProviderError) else 500
    return Json({"error": line}, status, {"Retry-After": str(_RETRY_S)})


def _invalid(_request: Request, error: Exception) -> Response:
    """Name the first field that is wrong."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - the registration says so
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in {"body", "query"}]
    if first["type"] == "json_invalid":
        return Json({"error": "body: it is no JSON"}, 400)
    if not place:
        return Json({"error": "body: send a JSON object as application/json"}, 400)
    field = ascii(".".join(place) or "body").strip("'")[:60]
    return Json({"error": f"{field}: {one_line(first['msg'], _LINE)}"}, 400)


def _starlette(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - the registration says so
    return Json({"error": str(error.detail)}, error.status_code, error.headers)


def _unexpected(request: Request, error: Exception) -> Response:
    """Answer what should not happen; the log has the traceback, never a header or a body."""
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return Json({"error": "Internal server error"}, 500)
