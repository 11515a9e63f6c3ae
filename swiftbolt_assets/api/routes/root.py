"""The two functions that older apps call at the root: `quotes`, and `chart`, the page's address.

They send no `Accept` of their own: who shows `Authorization` or `apikey` gets JSON, anybody else
the page. What belongs here: choosing. What does not: the replies (`flat_charts.py`, `quotes.py`),
the page (`pages.py`).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from swiftbolt_assets.api.auth import KEY_HEADERS, AnyCaller, require_caller
from swiftbolt_assets.api.routes.flat_charts import flat_chart
from swiftbolt_assets.api.routes.pages import chart_page
from swiftbolt_assets.api.routes.quotes import quotes

router = APIRouter(include_in_schema=False)
#: Where a reply depends on whether a key is shown.
NEGOTIATED = ("/chart", "/quotes")


@router.api_route("/chart", methods=["GET", "HEAD"])
def chart(
    request: Request,
    symbol: Annotated[str | None, Query()] = None,
    timeframe: Annotated[str, Query()] = "d1",
) -> Response:
    """Return bars to who shows a key, the page to all others."""
    if not any(name in request.headers for name in KEY_HEADERS):
        return chart_page(request)
    return flat_chart(request, require_caller(request), symbol, timeframe)


@router.api_route("/quotes", methods=["GET", "HEAD"])
def root_quotes(
    request: Request, caller: AnyCaller, symbols: Annotated[str, Query()] = ""
) -> Response:
    """Return prices now, as the function does."""
    return quotes(request, caller, symbols)
