"""A list of splits is believed whole or not at all."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from resources.providers.lists import SplitsAnswer, SplitsAsked
from resources.providers.polygon.splits import PolygonSplits
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
        "adjustment_type": "forward_split",
        "execution_date": day,
        "historical_adjustment_factor": 0.25,
        "id": f"E{ticker}",
        "split_from": 1.0,
        "split_to": 4.0,
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
    assert wire.paths == ["/stocks/v1/splits"]
    assert wire.query(0) == {
        "execution_date.gte": ["2026-11-01"],
        "sort": ["execution_date.asc"],
        "limit": ["5000"],
    }
    assert [(r.symbol, r.endpoint) for r in one.records] == [(None, "/stocks/v1/splits")]


def test_a_symbols_own_look_up_names_it(wire: Any, talk: Callable[..., Any]) -> None:
    wire.script(wire.reply(page()))
    assert fetch(talk(), "BRK.B").rows == ()
    assert wire.query(0)["ticker"] == ["BRK.B"]


def test_pages_are_followed_with_the_key_in_the_header_alone(
    wire: Any, talk: Callable[..., Any]
) -> None:
    following = f"{wire.url}/stocks/v1/splits?cursor=abc&apiKey={KEY}"
    wire.script(wire.reply(page(row("AAPL"), next_url=following)), wire.reply(page(row("MSFT"))))
    answer = fetch(talk())
    assert [found.symbol for found in answer.rows] == ["AAPL", "MSFT"]
    assert answer.requests == 2
    assert wire.query(1) == {"cursor": ["abc"], "limit": ["5000"]}
    assert all(f"authorization: bearer {KEY.lower()}" in head.lower() for head in wire.heads)


@pytest.mark.parametrize(
    "link",
    [
        "http://elsewhere.example/stocks/v1/splits?cursor=abc",
        "{url}/v3/reference/tickers?cursor=abc",
        "{url}/stocks/v1/splits",
        "{url}/stocks/v1/splits?cursor=loop",
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
        row(split_from=1e-300, split_to=1e300),
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


def test_two_ratios_for_one_day_are_two_splits_and_one_event_of_many_ids_is_one(
    wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(
        wire.reply(
            page(
                row("MSFT"),
                row("MSFT", split_to=5.0),
                # Another id, another factor, the ratio written otherwise: the same event.
                row("MSFT", id="E2", historical_adjustment_factor=None),
                row("MSFT", id="E3", split_from=2.0, split_to=8.0),
                # The same ratio as a dividend in shares is another one.
                row("MSFT", adjustment_type="stock_dividend"),
                row("MSFT", day="2026-11-11"),
            )
        )
    )
    answer = fetch(talk())
    assert answer.refused == ()
    assert [(one.kind, one.split.day.day, one.event[3]) for one in answer.rows] == [
        ("forward_split", 10, 4.0),
        ("forward_split", 10, 5.0),
        ("stock_dividend", 10, 4.0),
        ("forward_split", 11, 4.0),
    ]


def test_an_unknown_kind_is_read_from_the_ratio_and_a_factor_is_kept_only_as_told(
    wire: Any, talk: Callable[..., Any]
) -> None:
    wire.script(
        wire.reply(
            page(
                row("A", adjustment_type="unit_split", historical_adjustment_factor="0.25"),
                row("B", adjustment_type=None, split_from=45.0, split_to=1.5),
                # A fifth of all rows are broken numbers.
                row("C", adjustment_type="stock_dividend", split_from=1.0, split_to=1.03),
                request_id=1,
            )
        )
    )
    answer = fetch(talk())
    assert [(one.kind, one.factor) for one in answer.rows] == [
        ("forward_split", None),
        ("reverse_split", 0.25),
        ("stock_dividend", 0.25),
    ]
    # The vendor's own sample has a bare integer there.
    assert answer.request_id == "1"
