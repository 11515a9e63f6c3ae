"""A list of splits is believed whole or not at all."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from resources.polygon_splits import PolygonSplits, SplitsAnswer, SplitsAsked
from swiftbolt_assets.errors import (
    MalformedReplyError,
    PermissionDeniedError,
    ProviderError,
    UnavailableError,
)
from swiftbolt_assets.market.splits import Split

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "sekret-Key_0123456789"
SINCE = date(2026, 11, 1)


def row(ticker: str = "AAPL", day: str = "2026-11-10", **changes: Any) -> dict[str, Any]:
    return {
        "id": f"E{ticker}",
        "execution_date": day,
        "split_from": 1,
        "split_to": 4,
        "ticker": ticker,
    } | changes


def page(*rows: Any, **changes: Any) -> dict[str, Any]:
    return {"results": list(rows), "status": "OK", "request_id": "r1"} | changes


def fetch(one: Any, symbol: str | None = None) -> SplitsAnswer:
    return PolygonSplits(one.transport).fetch(SplitsAsked(symbol, SINCE), priority=-1)


def test_one_page_is_one_request_without_a_symbol_in_its_record(
    wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(wire.reply(page(row(), row("BRK.B", split_from=2.5, split_to=1))))
    one = talk()
    answer = fetch(one)
    assert [(found.symbol, found.split) for found in answer.rows] == [
        ("AAPL", Split(date(2026, 11, 10), 1, 4)),
        ("BRK.B", Split(date(2026, 11, 10), 2.5, 1)),
    ]
    assert (answer.requests, answer.request_id, answer.refused) == (1, "r1", ())
    assert wire.paths == ["/v3/reference/splits"]
    assert wire.query(0) == {
        "execution_date.gte": ["2026-11-01"],
        "order": ["asc"],
        "sort": ["execution_date"],
        "limit": ["1000"],
    }
    assert [(r.symbol, r.endpoint) for r in one.records] == [(None, "/v3/reference/splits")]


def test_a_symbols_own_look_up_names_it(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(page()))
    assert fetch(talk(), "BRK.B").rows == ()
    assert wire.query(0)["ticker"] == ["BRK.B"]


def test_pages_are_followed_with_the_key_in_the_header_alone(
    wire: Any, talk: Callable[..., Any]
) -> None:
    following = f"{wire.url}/v3/reference/splits?cursor=abc&apiKey={KEY}"
    wire.script(wire.reply(page(row("AAPL"), next_url=following)), wire.reply(page(row("MSFT"))))
    answer = fetch(talk())
    assert [found.symbol for found in answer.rows] == ["AAPL", "MSFT"]
    assert answer.requests == 2
    assert wire.query(1) == {"cursor": ["abc"], "limit": ["1000"]}
    assert all(f"authorization: bearer {KEY.lower()}" in head.lower() for head in wire.heads)


@pytest.mark.parametrize(
    "link",
    [
        "http://elsewhere.example/v3/reference/splits?cursor=abc",
        "{url}/v3/reference/tickers?cursor=abc",
        "{url}/v3/reference/splits",
        "{url}/v3/reference/splits?cursor=loop",
        "http://[/",
    ],
)
def test_a_link_that_leads_astray_spoils_the_whole_answer(
    wire: Any, talk: Callable[..., Any], link: str
) -> None:
    wire.script(wire.reply(page(row(), next_url=link.format(url=wire.url))))
    with pytest.raises(MalformedReplyError):
        fetch(talk())
    assert len(wire.heads) <= 2


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (page(status="NOT_AUTHORIZED", message="You are not entitled"), PermissionDeniedError),
        (page(status="ERROR", error="Internal"), UnavailableError),
        (page(status=None), MalformedReplyError),
        ({"status": "OK"}, MalformedReplyError),
        (page() | {"results": {}}, MalformedReplyError),
        ([], MalformedReplyError),
        (b'{"results":[{"id"', MalformedReplyError),
        (b"<html></html>", MalformedReplyError),
        # Answers to another question than the one that was asked.
        (page(row(day="2026-10-31")), MalformedReplyError),
        (page(row("MSFT")), MalformedReplyError),
    ],
)
def test_a_reply_that_cannot_be_trusted_is_an_error_and_is_not_asked_again(
    wire: Any, talk: Callable[..., Any], body: object, error: type[ProviderError]
) -> None:
    wire.script(wire.reply(body))
    one = talk()
    with pytest.raises(error):
        fetch(one, "AAPL")
    assert one.outcomes == [error.__name__]


@pytest.mark.parametrize(
    "bad",
    [
        "AAPL",
        row(split_to=0),
        row(split_from=-1),
        row(split_from="1"),
        row(split_to=float("nan")),
        row(execution_date="20261110T"),
        row(execution_date=None),
        row(ticker=""),
    ],
)
def test_an_unusable_split_is_left_out_and_told(
    wire: Any, talk: Callable[..., Any], bad: object
) -> None:
    wire.script(wire.reply(page(bad, row("MSFT"))))
    answer = fetch(talk())
    assert [found.symbol for found in answer.rows] == ["MSFT"]
    assert len(answer.refused) == 1


def test_two_splits_of_a_day_that_contradict_each_other_are_both_left_out(
    wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(wire.reply(page(row(), row("MSFT"), row(), row("MSFT", split_to=5))))
    answer = fetch(talk())
    assert [found.symbol for found in answer.rows] == ["AAPL"]
    assert answer.refused == ("MSFT splits on 2026-11-10 in two ways",)
