"""What Supabase's own clients ask beyond the functions' contract.

They ask each function by POST unless told otherwise, reading ones too, and look for tables and
sign-in beside the functions. What belongs here: answering that. What does not: the functions, whose
browsers' preflights are `api/protection.py`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Response
from fastapi.routing import APIRoute

from swiftbolt_assets.api.replies import Json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

router = APIRouter(include_in_schema=False)
TABLES, SIGN_IN = "/rest/v1", "/auth/v1"
_ALL = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
#: PostgREST's own: a path that leads nowhere.
_NO_PATH = "PGRST125"


class AskedByPost:
    """Answers POST of a function that only reads as GET; the body's fields are the query's.

    Args:
        app: what answers.
        paths: of the functions.

    """

    def __init__(self, app: ASGIApp, *, paths: frozenset[str]) -> None:
        self._app = app
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        is_asked = scope["type"] == "http" and scope["method"] == "POST"
        if not is_asked or scope["path"] not in self._paths:
            await self._app(scope, receive, send)
            return
        # The layer of bounds has read it whole.
        body = (await receive())["body"]
        try:
            fields = _query(body)
        except ValueError as error:
            await Json({"error": str(error)}, 400)(scope, receive, send)
            return
        query = b"&".join(filter(None, (scope["query_string"], fields)))
        await self._app({**scope, "method": "GET", "query_string": query}, receive, send)


def reading_paths(functions: Iterable[APIRouter], prefix: str) -> frozenset[str]:
    """Return the paths of functions that know GET and no POST."""
    methods: dict[str, set[str]] = {}
    for router in functions:
        for route in router.routes:
            if isinstance(route, APIRoute):
                methods.setdefault(f"{prefix}{route.path}", set()).update(route.methods or ())
    return frozenset(
        path for path, known in methods.items() if "GET" in known and "POST" not in known
    )


def by_post(operation: dict[str, Any]) -> dict[str, Any]:
    """Return the description of a reading function's POST, made of its GET's."""
    asked = operation.get("parameters", [])
    fields = {one["name"]: one["schema"] for one in asked}
    needed = [one["name"] for one in asked if one.get("required")]
    body = {"type": "object", "properties": fields} | ({"required": needed} if needed else {})
    return {
        **{name: value for name, value in operation.items() if name != "parameters"},
        "operationId": f"{operation['operationId']}_by_post",
        "requestBody": {"content": {"application/json": {"schema": body}}},
    }


@router.api_route(f"{TABLES}/{{path:path}}", methods=_ALL)
def tables(path: str) -> Response:
    """Say, as PostgREST does, that no table is served."""
    del path
    return Json(
        {
            "message": "tables are not served here",
            "code": _NO_PATH,
            "details": "SwiftBolt answers functions, at /functions/v1/",
            "hint": "run PostgREST beside it, as SwiftBolt's docs/http-api.md shows",
        },
        404,
    )


@router.api_route(f"{SIGN_IN}/{{path:path}}", methods=_ALL)
def sign_in(path: str) -> Response:
    """Say, as Supabase Auth does, that nobody signs in here."""
    del path
    line = "sign-in is not served here; put Supabase Auth in front (SwiftBolt's docs/http-api.md)"
    return Json({"code": 404, "error_code": "not_found", "msg": line, "error": line}, 404)


def _query(body: bytes) -> bytes:
    """Return a JSON object's fields as a query.

    Raises:
        ValueError: it is none, or a field is more than a value or a list of values.

    """
    if not body.strip():
        return b""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("body: it is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError("body: send a JSON object")  # noqa: TRY004 - caught above
    return urlencode(
        [(name, _text(name, value)) for name, value in found.items() if value is not None]
    ).encode()


def _text(name: str, value: object) -> str:
    if isinstance(value, list):
        return ",".join(_text(name, one) for one in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f"{ascii(name).strip(chr(39))[:60]}: it is neither a value nor a list of some")
