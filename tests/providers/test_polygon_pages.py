"""A window over several pages: followed to its end, or broken off with a reason."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import
from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from resources.providers.polygon.bars import MAX_PAGES, PolygonClient
from swiftbolt_assets.errors import (
    MalformedReplyError,
    PermissionDeniedError,
    UnavailableError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from resources.providers.contract import Answer

#: 2025-07-01 09:30 in New York.
T = 1751376600000
STEP = 900_000
DAYS = date(2025, 7, 1), date(2025, 7, 3)


def page(*stamps: int, next_url: str | None = None, **changes: Any) -> dict[str, Any]:
    results = [{"t": t, "o": 2, "h": 3, "l": 1, "c": 2, "v": 5} for t in stamps]
    body = {
        "ticker": "AAPL",
        "queryCount": 15 * len(stamps),
        "resultsCount": len(stamps),
        "adjusted": False,
        "results": results,
        "status": "OK",
        "request_id": f"id{stamps[0] if stamps else 0}",
    }
    return body | ({"next_url": next_url} if next_url else {}) | changes


def link(wire: Any, start: int, query: str = "?cursor=abc") -> str:
    path = f"/v2/aggs/ticker/AAPL/range/15/minute/{start}/2025-07-03"
    return f"{wire.url}{path}{query}"


def fetch(one: Any, symbol: str = "AAPL") -> Answer:
    return PolygonClient(one.transport).fetch(symbol, *DAYS, priority=100)


def stamps(answer: Answer) -> list[int]:
    return answer.bars["ts"].dt.epoch("ms").to_list()


def test_one_page_is_one_request(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(page(T, T + STEP)))
    one = talk()
    answer = fetch(one)
    assert stamps(answer) == [T, T + STEP]
    assert (answer.provider, answer.symbol, answer.first, answer.last) == (
        *("polygon", "AAPL", *DAYS),
    )
    assert (answer.requests, answer.base_minutes, answer.broken_off) == (1, 30, None)
    assert answer.request_ids == (f"id{T}",)
    assert wire.paths == ["/v2/aggs/ticker/AAPL/range/15/minute/2025-07-01/2025-07-03"]
    assert wire.query(0) == {"adjusted": ["false"], "sort": ["asc"], "limit": ["50000"]}
    record = one.records[0]
    assert (record.bars, record.base_minutes, record.outcome, record.status) == (2, 30, "ok", 200)
    assert (record.symbol, record.endpoint, record.request_id) == (
        *("AAPL", wire.paths[0], f"id{T}"),
    )


def test_a_symbol_is_asked_for_in_its_canonical_form(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(page(T, ticker="BRK.B")))
    assert fetch(talk(), " brk.b ").symbol == "BRK.B"
    assert wire.paths[0].startswith("/v2/aggs/ticker/BRK.B/")


@pytest.mark.parametrize("symbol", ["", "../../v1", "A//B", "A?apiKey=x", "A\r\nX: y"])
def test_what_is_no_symbol_sends_nothing(symbol: str, wire: Any, talk: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match="symbol"):
        fetch(talk(), symbol)
    assert wire.heads == []


def test_pages_are_followed_and_joined(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(
        wire.reply(page(T, next_url=link(wire, T + STEP))),
        wire.reply(page(T + STEP, next_url=link(wire, T + 2 * STEP, "?cursor=d&apiKey=x"))),
        wire.reply(page(T + 2 * STEP)),
    )
    answer = fetch(talk())
    assert stamps(answer) == [T, T + STEP, T + 2 * STEP]
    assert (answer.requests, answer.base_minutes, answer.broken_off) == (3, 45, None)
    assert answer.request_ids == (f"id{T}", f"id{T + STEP}", f"id{T + 2 * STEP}")
    assert wire.query(2) == {
        "cursor": ["d"],
        "adjusted": ["false"],
        "sort": ["asc"],
        "limit": ["50000"],
    }
    assert all("Authorization: Bearer" in head for head in wire.heads)


def test_a_page_that_fails_breaks_the_answer_off_and_keeps_the_pages_before(
    wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(wire.reply(page(T, next_url=link(wire, T + STEP))), wire.reply(b"", status=503))
    answer = fetch(talk())
    assert stamps(answer) == [T]
    assert isinstance(answer.broken_off, UnavailableError)
    assert answer.requests == 1 + 4


def test_a_next_page_of_adjusted_prices_breaks_the_answer_off(
    wire: Any, talk: Callable[..., Any]
) -> None:
    """The cursor may not carry the flag; mixing both kinds of price is the worst of faults."""
    wire.script(
        wire.reply(page(T, next_url=link(wire, T + STEP))),
        wire.reply(page(T + STEP, adjusted=True)),
    )
    answer = fetch(talk())
    assert stamps(answer) == [T]
    assert isinstance(answer.broken_off, MalformedReplyError)


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/v2/aggs/ticker/AAPL/range/15/minute/1751378400000/2025-07-03",
        "{url}:443/v2/aggs/ticker/AAPL/range/15/minute/1751378400000/2025-07-03",
        "{url}/v2/aggs/ticker/AAPL/range/15/minute/1751376600000x/2025-07-03",
        "{url}/v2/aggs/ticker/AAPL/range/15/minute/2025-07-01/2025-07-03",
        "{url}/v2/aggs/ticker/AAPL/range/15/minute/2025-06-30/2025-07-03",
        "{url}/other",
    ],
)
def test_a_link_that_cannot_be_trusted_is_not_followed(
    target: str, wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(wire.reply(page(T, next_url=target.format(url=wire.url))))
    answer = fetch(talk())
    assert stamps(answer) == [T]
    assert isinstance(answer.broken_off, MalformedReplyError)
    assert str(answer.broken_off).startswith("polygon: ")
    assert len(wire.heads) == 1


def test_a_loop_of_pages_ends(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(page(T, next_url=link(wire, T + STEP))))
    answer = fetch(talk())
    assert isinstance(answer.broken_off, MalformedReplyError)
    assert answer.requests == 2


def test_pages_without_end_end(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(
        *(wire.reply(page(T, next_url=link(wire, T + n * STEP))) for n in range(1, MAX_PAGES + 2))
    )
    answer = fetch(talk())
    assert isinstance(answer.broken_off, MalformedReplyError)
    assert answer.requests == MAX_PAGES


@pytest.mark.parametrize(("minutes", "broken"), [(49_984, False), (49_985, True), (50_000, True)])
def test_a_reached_limit_without_a_next_page_breaks_the_answer_off(
    *, minutes: int, broken: bool, wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(wire.reply(page(T, queryCount=minutes)))
    answer = fetch(talk())
    assert (answer.broken_off is not None) is broken
    assert answer.base_minutes == minutes


def test_a_lost_first_page_is_an_error(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply({"status": "ERROR", "error": "Unknown API Key"}, status=401))
    with pytest.raises(PermissionDeniedError, match="check POLYGON_API_KEY"):
        fetch(talk())
    assert len(wire.heads) == 1
