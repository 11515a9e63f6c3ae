"""Finding symbols: `symbols-search`, which also offers what nobody has asked for yet."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from resources.bars.search import search_symbols
from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.description import answers
from swiftbolt_assets.api.replies import Json
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
    """Return an array, the ticker itself first; `known` tells whether somebody has asked for it.

    What no name is like finds nothing: an app asks while a person types, and shows every error.
    """
    text = q.strip()
    if not text or len(text) > _LONGEST or not text.isprintable():
        return Json([])
    with state_of(request).pool.transaction(caller) as connection:
        found = search_symbols(connection, text)
    return Json([asdict(symbol) for symbol in found])
