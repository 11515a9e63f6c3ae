"""The scheduled refresh: when it runs, whom it serves, what it stores and what it reports."""

from __future__ import annotations

import re
from datetime import date, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from resources.providers import registry
from resources.sources import Source
from swiftbolt_assets.filling.target import Target
from swiftbolt_assets.filling.today import refresh_today
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.orchestration.instance import open_instance

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.live.conftest import Exchange

pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
TODAY = date(2026, 11, 20)
EARLY = date(2025, 11, 28)
_STATUSES = """
select data_status, provider::text, count(*) from ohlc_bars_v2 b join symbols s on s.id = symbol_id
where s.ticker = %s and timeframe = %s::timeframe group by 1, 2 order by 1, 2
"""


def statuses(exchange: Exchange, symbol: str, timeframe: str = "m15") -> list[tuple[str, str, int]]:
    return exchange.sql(_STATUSES, symbol, timeframe)


def test_days_before_today_are_polygons_and_today_is_tradiers(exchange: Exchange) -> None:
    run = exchange.fill("AAPL", date(2026, 11, 18))
    assert run.success
    assert statuses(exchange, "AAPL") == [
        ("live", "tradier", 22),
        ("provisional", "tradier", 1),
        ("verified", "polygon", 52),
    ]
    assert all("2026-11-20" not in path for path in exchange.asked("polygon"))
    assert len(exchange.asked("tradier")) == 1
    storage = exchange.storage()
    sessions = xnys().between(date(2026, 11, 18), TODAY)
    bars = storage.bars.read(
        storage.symbol("AAPL"), Timeframe.M15, sessions[0].opens, sessions[-1].closes
    )
    storage.close()
    assert bars["ts"].is_unique().all()
    assert bars.height == 26 + 26 + 23
    # The range included today, so the schedule finds nothing to do.
    exchange.track("AAPL")
    assert str(exchange.tick()).startswith("nothing is due: 1 symbols, the oldest")


def test_one_run_serves_all_who_are_due_and_asks_only_tradier(exchange: Exchange) -> None:
    exchange.track("MSFT", "AAPL", "BRK.B")
    request = exchange.tick()
    assert isinstance(request, dg.RunRequest)
    run = exchange.refresh()
    assert run.success
    for symbol in ("AAPL", "MSFT", "BRK.B"):
        live, forming = ("live", "tradier", 22), ("provisional", "tradier", 1)
        assert statuses(exchange, symbol) == [live, forming]
    assert exchange.asked("polygon") == []
    assert len(exchange.asked("tradier")) == 3
    reported = run.reported()
    assert len(reported) == 9
    made = reported["m15_bars", "2026-11-20|BRK.B"]
    assert (made["rows"], made["expected"], made["gaps"]) == (23, 23, 0)
    assert made["requests"] == 1.0
    assert 0 <= made["age_seconds"] < 60
    (check,) = run.checks()
    assert (check.check_name, check.passed) == ("fresh", True)
    assert check.metadata["symbols"].value == 3


def test_in_session_hours_a_complete_symbol_costs_tradier_requests_only(
    exchange: Exchange,
) -> None:
    exchange.fill("AAPL", date(2026, 11, 16), date(2026, 11, 19))
    exchange.track("AAPL")
    exchange.forget_requests()
    for minute in (30, 34, 38, 42, 45):
        exchange.at(15, minute)
        assert isinstance(exchange.tick(), dg.RunRequest)
        assert exchange.refresh().success
    assert exchange.asked("polygon") == []
    assert len(exchange.asked("tradier")) == 5


def test_bars_by_provider_hold_tradier_rows_of_today_only(exchange: Exchange) -> None:
    exchange.fill("AAPL", date(2026, 11, 16))
    rows = exchange.sql(
        "select provider::text, is_intraday, count(*), (min(ts) at time zone 'America/New_York')"
        "::date, (max(ts) at time zone 'America/New_York')::date from ohlc_bars_v2"
        " where timeframe = 'h1' group by 1, 2 order by 1"
    )
    assert rows == [
        ("polygon", False, 28, date(2026, 11, 16), date(2026, 11, 19)),
        ("tradier", True, 6, TODAY, TODAY),
    ]


def test_a_partition_is_reported_once_a_quarter_hour_however_often_it_is_refreshed(
    exchange: Exchange,
) -> None:
    exchange.track("AAPL")
    reports, checks = [], []
    for minute in (15, 19, 23, 27, 30):
        exchange.at(14, minute)
        run = exchange.refresh()
        assert run.success
        reports.append(len(run.reported()))
        checks.append(len(run.checks()))
    assert reports == [3, 0, 0, 0, 3]
    assert checks == [1, 0, 0, 0, 1]
    assert len(exchange.asked("tradier")) == 5


def test_a_second_run_of_the_same_minute_asks_nothing(exchange: Exchange) -> None:
    exchange.track("AAPL")
    exchange.refresh()
    exchange.forget_requests()
    assert exchange.refresh().success
    assert exchange.asked("tradier") == []


def test_while_another_process_serves_a_run_asks_nothing(exchange: Exchange) -> None:
    exchange.track("AAPL")
    with exchange.book.turn() as is_ours:
        assert is_ours
        assert exchange.refresh().success
    assert exchange.asked("tradier") == []


def test_an_open_chart_goes_first_then_the_priority(exchange: Exchange) -> None:
    exchange.track("AAA", source="recent_search")
    exchange.track("BBB", source="watchlist")
    exchange.track("CCC", source="chart_view")
    exchange.refresh()
    asked = exchange.sql("select symbol from provider_requests order by id")
    assert asked == [("CCC",), ("BBB",), ("AAA",)]


def test_the_last_bar_is_asked_for_once_after_the_close(exchange: Exchange) -> None:
    exchange.track("AAPL")
    exchange.at(15, 58)
    exchange.refresh()
    exchange.at(16, 0, second=2)
    assert isinstance(exchange.tick(), dg.RunRequest)
    exchange.refresh()
    assert statuses(exchange, "AAPL") == [("live", "tradier", 26)]
    exchange.at(16, 1)
    assert str(exchange.tick()).startswith("the exchange is closed; the next session opens")
    exchange.at(20, 30)
    assert exchange.database.clock_offset < timedelta(0)
    assert str(exchange.tick()).startswith("the exchange is closed")
    assert len(exchange.asked("tradier")) == 2


def test_at_half_past_eight_in_the_evening_today_is_still_today(exchange: Exchange) -> None:
    exchange.at(20, 30)
    exchange.track("AAPL")
    assert isinstance(exchange.tick(), dg.RunRequest)
    run = exchange.refresh()
    assert ("m15_bars", "2026-11-20|AAPL") in run.reported()
    assert statuses(exchange, "AAPL") == [("live", "tradier", 26)]
    days = exchange.sql("select day, state, bars from session_coverage")
    assert days == [(TODAY, "provisional", 26)]
    query = exchange.call("/simulator/requests")[0]["query"]
    assert "start=2026-11-20+00%3A00" in query
    assert "end=2026-11-20+23%3A59" in query


def test_an_early_close_ends_with_its_fourteenth_bar(exchange: Exchange) -> None:
    exchange.at(13, 0, EARLY, second=1)
    exchange.track("AAPL")
    assert isinstance(exchange.tick(), dg.RunRequest)
    assert exchange.refresh().success
    assert statuses(exchange, "AAPL") == [("live", "tradier", 14)]
    assert statuses(exchange, "AAPL", "h4") == [("live", "tradier", 1)]
    exchange.at(13, 1, EARLY)
    assert str(exchange.tick()).startswith("the exchange is closed")


@pytest.mark.parametrize(
    ("day", "hour", "minute"),
    [(TODAY, 9, 29), (date(2025, 11, 27), 12, 0), (date(2026, 11, 15), 12, 0)],
)
def test_nothing_is_launched_before_the_open_or_on_a_closed_day(
    exchange: Exchange, day: date, hour: int, minute: int
) -> None:
    exchange.at(hour, minute, day)
    exchange.track("AAPL")
    assert str(exchange.tick()).startswith("the exchange is closed; the next session opens")
    assert exchange.refresh().success
    assert exchange.asked("tradier") == []


def test_without_interest_or_token_nothing_is_launched(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exchange.tick() == "no symbol is tracked"
    exchange.track("AAPL")
    monkeypatch.setenv("POLYGON_API_KEY", "a-key")
    assert exchange.tick() == "TRADIER_TOKEN is unset: today's bars are off"
    assert exchange.refresh().success
    assert exchange.asked("tradier") == []


def test_a_refused_token_costs_one_request_and_is_told_at_each_tick(
    open_exchange: Callable[..., Exchange],
) -> None:
    exchange = open_exchange(tradier_tokens=frozenset({"another"}))
    exchange.track("AAPL", "MSFT", "NVDA")
    run = exchange.refresh()
    assert not run.success
    assert run.failure().startswith("AAPL: tradier: the token was refused")
    assert len(exchange.asked("tradier")) == 1
    assert str(exchange.tick()).startswith("tradier: not asked before")


def test_a_close_before_the_next_tick_is_awaited_by_the_run(exchange: Exchange) -> None:
    exchange.at(15, 13)
    exchange.track("AAPL")
    assert exchange.refresh().success
    exchange.at(15, 14)
    # From 15:13 and as long as the refresh took.
    assert re.match(r"nothing is due: 1 symbols, the oldest [56]\d s", str(exchange.tick()))
    exchange.forget_requests()
    exchange.at(15, 14, second=58)
    assert isinstance(exchange.tick(), dg.RunRequest)
    assert exchange.refresh().success
    (one,) = exchange.book.watched()
    session = xnys().session(TODAY)
    assert session is not None
    assert one.refreshed_at is not None
    assert one.refreshed_at >= session.opens + timedelta(hours=5, minutes=45)
    assert len(exchange.asked("tradier")) == 1


def test_a_request_that_waited_past_a_close_finds_no_bar_of_the_future(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.at(15, 14, second=40)
    exchange.track("AAPL")
    (watched,) = exchange.book.watched()
    session = xnys().session(TODAY)
    assert session is not None
    asked_at = exchange.now
    storage = exchange.storage()
    monkeypatch.setenv("TRADIER_REQUESTS_PER_MINUTE", "0")
    provider = Source.of(registry.TODAY, exchange.settings).open(storage)
    # It waits 30 s for its slot.
    seconds = iter((0.0, 30.0, 30.0))
    monkeypatch.setattr(
        "swiftbolt_assets.filling.today.time", SimpleNamespace(monotonic=lambda: next(seconds))
    )
    exchange.now = asked_at + timedelta(seconds=29)
    refresh_today(
        Target("AAPL", watched.symbol_id, 300, ()),
        session,
        now=asked_at,
        provider=provider,
        store=storage.bars,
    )
    storage.close()
    assert exchange.sql("select count(*) from rejected_bars") == [(0,)]
    live, forming = ("live", "tradier", 22), ("provisional", "tradier", 2)
    assert statuses(exchange, "AAPL") == [live, forming]


def test_a_refresh_under_way_is_not_overtaken(exchange: Exchange) -> None:
    exchange.track("AAPL")
    with open_instance(exchange.settings) as instance:
        lost = dg.DagsterRun(
            job_name="refresh_today",
            run_id="00000000-0000-4000-8000-000000000001",
            status=dg.DagsterRunStatus.STARTED,
        )
        instance.add_run(lost)
        assert exchange.tick() == "the refresh of a minute ago is still under way"
        instance.delete_run(lost.run_id)
    assert isinstance(exchange.tick(), dg.RunRequest)


def test_a_symbol_that_fails_stops_nobody_and_waits_before_it_is_asked_again(
    exchange: Exchange,
) -> None:
    exchange.track("AAPL", "MSFT")
    # As many as one request is tried.
    exchange.faults(kinds=["502"], times=4)
    assert exchange.refresh().success
    assert statuses(exchange, "AAPL") == []
    assert statuses(exchange, "MSFT") != []
    rows = exchange.sql(
        "select s.ticker, failures, error, retry_at > clock_timestamp() from live_refreshes"
        " join symbols s on s.id = symbol_id where failures > 0"
    )
    assert rows == [("AAPL", 1, "tradier: HTTP 502: 502 Bad Gateway 502 Bad Gateway nginx", True)]
    assert str(exchange.tick()).startswith("nothing is due")
    exchange.sql("update live_refreshes set retry_at = clock_timestamp() where failures > 0")
    assert isinstance(exchange.tick(), dg.RunRequest)
    exchange.refresh()
    assert exchange.sql("select sum(failures) from live_refreshes") == [(0,)]


def test_the_budget_is_what_tradiers_headers_name(
    open_exchange: Callable[..., Exchange], monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = open_exchange(tradier_allowed=37)
    monkeypatch.setenv("TRADIER_REQUESTS_PER_MINUTE", "60")
    exchange.track("AAPL")
    assert exchange.refresh().success
    limit = "select n from rate_limit where name = 'tradier'"
    assert exchange.sql(limit) == [(37,)]
    # The next process begins with what this one has learned, unless the setting has changed.
    storage = exchange.storage()
    for setting, expected in (("60", 37), ("20", 20), ("20", 20)):
        monkeypatch.setenv("TRADIER_REQUESTS_PER_MINUTE", setting)
        tradier = Source.of(registry.TODAY, exchange.settings)
        tradier.open(storage)
        assert tradier.budget(storage) == expected
    storage.close()
    exchange.sql("delete from live_refreshes")
    assert exchange.refresh().success
    assert exchange.sql(limit) == [(37,)]


def test_the_budget_cuts_a_round_and_the_next_one_goes_on(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.track("AAA", "BBB", "CCC")
    monkeypatch.setenv("TRADIER_REQUESTS_PER_MINUTE", "2")
    # The simulator names its own limit with the first reply.
    assert exchange.refresh().success
    assert len(exchange.asked("tradier")) == 2
    assert isinstance(exchange.tick(), dg.RunRequest)


def test_a_database_whose_clock_is_in_berlin_changes_nothing(exchange: Exchange) -> None:
    (name,) = exchange.sql("select current_database()")[0]
    exchange.sql(f"alter database {name} set timezone to 'Europe/Berlin'")
    exchange.track("AAPL")
    exchange.refresh()
    rows = exchange.sql("select min(ts), max(ts) from ohlc_bars_v2 where timeframe = 'm15'")
    session = xnys().session(TODAY)
    assert session is not None
    assert rows == [(session.opens, session.opens + 22 * timedelta(minutes=15))]


def test_a_round_ends_before_the_next_tick_and_is_told_part_by_part(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange.track("AAPL", "MSFT", "NVDA")
    monkeypatch.setattr("swiftbolt_assets.jobs.live._TOLD_AT_ONCE", 1)
    monkeypatch.setattr("swiftbolt_assets.jobs.live._LONGEST_ROUND_S", 0.0)
    assert exchange.refresh().success, "no time is no failure"
    assert exchange.asked("tradier") == []
    monkeypatch.setattr("swiftbolt_assets.jobs.live._LONGEST_ROUND_S", 45.0)
    told = exchange.refresh().reported()
    assert {symbol.partition("|")[2] for _, symbol in told} == {"AAPL", "MSFT", "NVDA"}
    assert len(told) == 9
