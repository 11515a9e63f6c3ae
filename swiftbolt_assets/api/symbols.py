"""Finding symbols: `symbols-search`, which also offers what nobody has asked for yet."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from resources.search import search_symbols
from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.description import answers
from swiftbolt_assets.api.fields import printable
from swiftbolt_assets.api.replies import HttpError, Json
from swiftbolt_assets.api.shapes import FoundSymbol
from swiftbolt_assets.api.state import state_of

router = APIRouter()
_LONGEST = 50


@router.get(
    "/symbols-search",
    summary="Find symbols by ticker or name",
    responses=answers(list[FoundSymbol]),
)
def symbols_search(
    request: Request, caller: AnyCaller, q: Annotated[str, Query()] = ""
) -> Response:
    """Return an array, the ticker itself first; `known` tells whether somebody has asked for it."""
    text = printable("q", q.strip(), _LONGEST)
    if not text:
        raise HttpError(400, "q: it is empty; give a ticker or a part of a name")
    with state_of(request).pool.transaction(caller) as connection:
        found = search_symbols(connection, text)
    return Json([asdict(symbol) for symbol in found])
