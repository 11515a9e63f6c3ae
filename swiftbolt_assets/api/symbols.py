"""Finding symbols: `symbols-search`, which also offers a ticker that nobody has asked for yet."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any
from uuid import NAMESPACE_URL, UUID, uuid5

from fastapi import APIRouter, Query, Request, Response

from resources.search import search_symbols
from swiftbolt_assets.api.auth import AnyCaller
from swiftbolt_assets.api.description import answers
from swiftbolt_assets.api.fields import printable, required_symbol
from swiftbolt_assets.api.replies import HttpError, Json
from swiftbolt_assets.api.shapes import FoundSymbol
from swiftbolt_assets.api.state import state_of
from swiftbolt_assets.errors import UsageError

router = APIRouter()
_LONGEST, _MOST = 50, 20


@router.get(
    "/symbols-search",
    summary="Find symbols by ticker or name",
    responses=answers(list[FoundSymbol]),
)
def symbols_search(
    request: Request, caller: AnyCaller, q: Annotated[str, Query()] = ""
) -> Response:
    """Return an array, the ticker itself first."""
    text = printable("q", q.strip(), _LONGEST)
    if not text:
        raise HttpError(400, "q: it is empty; give a ticker or a part of a name")
    with state_of(request).pool.transaction(caller) as connection:
        found = search_symbols(connection, text)
    rows: list[dict[str, Any]] = [asdict(symbol) | {"known": True} for symbol in found]
    offered = _offer(text)
    if offered and all(row["ticker"] != offered["ticker"] for row in rows):
        rows = [*rows[: _MOST - 1], offered]
    return Json(rows)


def offered_id(ticker: str) -> UUID:
    """Return the id of a ticker that nobody has opened yet: it serves lists and empty charts."""
    return uuid5(NAMESPACE_URL, f"swiftbolt:symbol:{ticker}")


def _offer(text: str) -> dict[str, Any] | None:
    """Return a well-formed ticker as one that may be added, None for other texts.

    Its id serves lists only: the symbol gets its own when somebody opens it.
    """
    try:
        ticker = required_symbol(text)
    except UsageError:
        return None
    return {
        "id": offered_id(ticker),
        "ticker": ticker,
        "asset_type": "stock",
        "description": "not known here yet; open it to fetch its bars",
        "known": False,
    }
