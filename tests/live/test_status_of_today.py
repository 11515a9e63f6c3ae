"""`swiftbolt status` tells how old today's prices are, and which the budget does not reach."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from resources.bars.splits import SplitBook
from resources.providers.lists import SplitsAsked
from swiftbolt_assets.cli.commands.status import run_status
from swiftbolt_assets.cli.today import todays_lines
from swiftbolt_assets.errors import BadRequestError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")

HOLIDAY = date(2025, 11, 27)
EARLY = date(2025, 11, 28)


@pytest.fixture
def status(exchange: Any, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run the command; return what it reports of today."""

    def run(symbol: str | None = None) -> dict[str, Any]:
        capsys.readouterr()
        run_status(symbol, as_json=True)
        live: dict[str, Any] = json.loads(capsys.readouterr().out)["live"]
        return live

    assert exchange
    return run


def lines(live: dict[str, Any]) -> list[str]:
    return list(todays_lines(live, is_running=True))


def seen_ago(exchange: Any, minutes: int, symbol: str | None = None) -> None:
    """Let refreshes be so old, all of them or a symbol's."""
    exchange.sql(
        "update live_refreshes l set refreshed_at = market_now() - make_interval(mins => %s),"
        " closed_through = null from symbols s"
        " where s.id = l.symbol_id and (%s::text is null or s.ticker = %s)",
        minutes,
        symbol,
        symbol,
    )


def test_the_age_of_every_watched_symbol_is_told(
    exchange: Any, status: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    exchange.track("AAPL", "MSFT")
    assert exchange.refresh().success
    exchange.at(15, 11)
    seen_ago(exchange, 4)
    live = status()
    assert [(row["symbol"], row["late"]) for row in live["symbols"]] == [
        ("AAPL", False),
        ("MSFT", False),
    ]
    assert all(240 <= row["age_s"] <= 260 for row in live["symbols"])
    assert lines(live) == ["today     2 symbols, the oldest price is 4 min old"]
    run_status(None, as_json=False)
    assert "\ntoday     2 symbols, the oldest price is 4 min old\n" in capsys.readouterr().out
    assert [row["symbol"] for row in status("MSFT")["symbols"]] == ["MSFT"]
    assert lines(status("TSLA")) == []


def test_symbols_beyond_the_budget_are_named_with_their_age(
    exchange: Any, status: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.track("AAA", "BBB", "CCC")
    assert exchange.refresh().success
    exchange.at(15, 10)
    seen_ago(exchange, 3)
    seen_ago(exchange, 11, "CCC")
    monkeypatch.setenv("TRADIER_REQUESTS_PER_MINUTE", "60")
    exchange.sql("select rate_configure('tradier', 2, 60.5)")
    live = status()
    assert (live["per_minute"], live["beyond_budget"]) == (2, True)
    assert "\n".join(lines(live)) == (
        "today     3 symbols, the oldest price is 3 min old; "
        "1 beyond the budget of 2 a minute, up to 11 min old: CCC"
    )
    (stopped,) = todays_lines(live, is_running=False)
    assert "; 1 late, no platform refreshes them, up to 11 min old: CCC" in stopped
    exchange.sql("select rate_configure('tradier', 60, 60.5)")
    assert "; 1 late, up to 11 min old: CCC" in lines(status())[0]


def test_a_symbol_that_failed_says_why(
    exchange: Any, status: Callable[..., dict[str, Any]]
) -> None:
    exchange.track("AAPL")
    exchange.faults(kinds=["502"], times=4)
    exchange.refresh()
    live = status()
    assert lines(live) == [
        "today     1 symbol",
        "          AAPL: tradier: HTTP 502: 502 Bad Gateway 502 Bad Gateway nginx",
    ]


def test_outside_session_hours_no_price_is_old(
    exchange: Any, status: Callable[..., dict[str, Any]]
) -> None:
    exchange.track("AAPL")
    opens = "the exchange is closed; the next session opens"
    exchange.at(12, 0, HOLIDAY)
    assert lines(status()) == [f"today     1 symbol, {opens} 2025-11-28 09:30 New York time"]
    exchange.at(9, 0, EARLY)
    assert lines(status()) == [f"today     1 symbol, {opens} 2025-11-28 09:30 New York time"]
    # An early close: the last bar is there a minute after it, or is missed.
    exchange.at(13, 0, EARLY, second=30)
    assert not status()["symbols"][0]["late"]
    exchange.at(13, 2, EARLY)
    assert "1 late, up to 4 h old: AAPL" in lines(status())[0]
    exchange.at(16, 1)
    exchange.refresh()
    exchange.at(20, 30)
    assert lines(status()) == ["today     1 symbol, all up to the close"]


def test_without_a_token_today_is_off(
    exchange: Any, status: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.track("AAPL")
    monkeypatch.setenv("POLYGON_API_KEY", "sekret-Key_0123456789")
    exchange.sql("delete from installation where name = 'data_source'")
    assert lines(status()) == [
        "today     off: TRADIER_TOKEN is unset; 1 symbol without today's bars"
    ]


def test_failed_look_ups_of_splits_say_why_and_when_they_are_asked_again(
    exchange: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    book = SplitBook(exchange.database)
    for symbol in (None, "AAPL", "MSFT"):
        book.failed(SplitsAsked(symbol, HOLIDAY), UnavailableError("polygon: HTTP 500"))
    book.failed(SplitsAsked("TSLA", HOLIDAY), BadRequestError("polygon: HTTP 400: no\nsuch thing"))
    capsys.readouterr()
    run_status(None, as_json=False)
    shown = capsys.readouterr().out.splitlines()
    assert (
        "splits    of all symbols, AAPL, MSFT not known: polygon: HTTP 500; asked again in 10 min"
        in shown
    )
    assert (
        "splits    of TSLA not known: polygon: HTTP 400: no such thing; asked again in 10 min"
        in shown
    )
    run_status("MSFT", as_json=True)
    report = json.loads(capsys.readouterr().out)
    failed = report["failed_split_lookups"]
    assert [(one["symbol"], one["failures"], one["error"]) for one in failed] == [
        (None, 1, "polygon: HTTP 500"),
        ("MSFT", 1, "polygon: HTTP 500"),
    ]
    assert all(590 < one["retry_s"] <= 600 for one in failed)
    exchange.sql("update split_lookups set failures = 0, error = null, retry_at = null")
    run_status(None, as_json=False)
    assert "splits " not in capsys.readouterr().out
