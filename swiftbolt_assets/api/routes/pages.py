"""What a browser opens: the chart, its files, and the API's description at `/docs`.

Whoever shows a key at `/chart` is an app, whatever it accepts, and gets JSON (`root.py`).
"""

from __future__ import annotations

import html
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from swiftbolt_assets.api.replies import HttpError
from swiftbolt_assets.api.state import is_from_here, state_of

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

router = APIRouter(include_in_schema=False)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
}
_KEY, _MODULES = "{{anon-key}}", "{{modules}}"
#: Modules of other pages than the chart.
_ELSEWHERE = frozenset({"docs.js"})


@router.get("/")
def root() -> Response:
    """Send a browser to the chart."""
    return RedirectResponse("/chart")


def chart_page(request: Request) -> Response:
    """Return the chart's page; at this machine it carries the app's key, elsewhere it asks."""
    key = state_of(request).keys.anon if is_from_here(request) else ""
    page = _file("index.html").decode().replace(_KEY, html.escape(key, quote=True))
    page = page.replace(_MODULES, _preloads())
    return Response(page, media_type=_TYPES[".html"], headers={"Cache-Control": "no-store"})


@router.get("/chart/assets/{name:path}")
def asset(name: str) -> Response:
    """Return one of the page's files."""
    path = PurePosixPath(name)
    kind = _TYPES.get(path.suffix)
    if kind is None or path.is_absolute() or ".." in path.parts or path.suffix == ".html":
        raise HttpError(404, "Not Found")
    # Asked for anew each time: after an upgrade no browser may mix old modules with new ones.
    return Response(_file(name), media_type=kind, headers={"Cache-Control": "no-cache"})


@router.get("/docs")
def docs() -> Response:
    """Return the API's description, drawn by files of this server."""
    return Response(
        _file("docs.html"), media_type=_TYPES[".html"], headers={"Cache-Control": "no-store"}
    )


@cache
def _preloads() -> str:
    """Return the links that let a browser fetch all modules at once, not import by import."""
    names = sorted(
        file.name
        for file in files("swiftbolt_assets.api").joinpath("page").iterdir()
        if file.name.endswith(".js")
    )
    names = ["vendor/lightweight-charts.js", *(name for name in names if name not in _ELSEWHERE)]
    return "\n".join(f'<link rel="modulepreload" href="/chart/assets/{name}">' for name in names)


@cache
def _file(name: str) -> bytes:
    place: Traversable = files("swiftbolt_assets.api").joinpath("page")
    for part in PurePosixPath(name).parts:
        place = place.joinpath(part)
    try:
        return place.read_bytes()
    except (FileNotFoundError, IsADirectoryError, ValueError):
        if name.startswith("vendor/"):
            raise HttpError(
                404, "the page's libraries are missing; install swiftbolt again (uv sync)"
            ) from None
        raise HttpError(404, "Not Found") from None
