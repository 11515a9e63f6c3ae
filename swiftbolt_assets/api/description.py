"""The API's description (OpenAPI): what the routes say, and what holds for all of them.

What belongs here: statuses that every function may answer, how a caller shows a key, and taking out
what this server never answers. What does not: shapes (`shapes.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from swiftbolt_assets.api.shapes import Problem
from swiftbolt_assets.api.supabase import by_post

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import FastAPI

_WORDS = {
    400: "A value is wrong or missing; the line names it",
    401: "No key, or one that opens nothing",
    403: "The key does not open this",
    404: "Nothing is known by this name",
    408: "The body did not arrive in time",
    409: "The slice has failed or was cancelled",
    413: "The body exceeds 64 KB",
    429: "Its turn has not come; `Retry-After` says when to ask again",
    503: "The database does not answer in time; `Retry-After` says when to ask again",
}
#: Of every function.
EVERYWHERE = (400, 401, 408, 413, 503)
#: Either one is enough.
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apikey": {"type": "apiKey", "in": "header", "name": "apikey"},
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of answers other than 200."""
    return {status: {"model": Problem, "description": _WORDS[status]} for status in statuses}


def answers(*models: Any) -> dict[int | str, dict[str, Any]]:  # noqa: ANN401 - pydantic's types
    """Return the description of a 200 with one of some shapes."""
    shape: Any = models[0]
    for model in models[1:]:
        shape |= model
    return {200: {"model": shape, "description": "What was asked for"}}


def describe(app: FastAPI, prefix: str, reading: Iterable[str]) -> dict[str, Any]:
    """Return an app's description, made once.

    Args:
        app: the app.
        prefix: of the functions' paths: they need a key.
        reading: paths of functions whose GET is also asked by POST.

    """
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        components = made["components"]
        components["securitySchemes"] = _KEYS
        for name in ("HTTPValidationError", "ValidationError"):
            components["schemas"].pop(name, None)
        for path in reading:
            made["paths"][path]["post"] = by_post(made["paths"][path]["get"])
        for path, operations in made["paths"].items():
            for operation in operations.values():
                # Wrong values are 400 here; a POST made of a GET has the same answers.
                operation["responses"].pop("422", None)
                if path.startswith(prefix):
                    operation["security"] = [{name: []} for name in _KEYS]
        app.openapi_schema = made
    return app.openapi_schema
