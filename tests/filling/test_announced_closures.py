"""A closure or an early close is announced: all that rests on the day follows, and comes back."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from resources.bars.calendar import load_calendar
from resources.bars.calendar_changes import CalendarBook
from resources.bars.session_write import SessionsWrite
from resources.postgres.database import Database
from resources.schema import migrate
from resources.storage import open_storage
from swiftbolt_assets.clock import NEW_YORK, Clock
from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.filling.filler import Filler
from swiftbolt_assets.market.announced import Change
from swiftbolt_assets.market.coverage import State
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import REJECT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from swiftbolt_assets.market.sessions import Calendar
    from tests.filling.conftest import Desk

MONDAY, WEDNESDAY, LAST = date(2026, 11, 16), date(2026, 11, 18), date(2026, 11, 19)
CLOSED = Change(WEDNESDAY, None, "day of mourning")
EARLY = Change(WEDNESDAY, time(13), "storm")
NOON = Change(WEDNESDAY, time(12), "a worse storm")
WHOLE = {"m15": 26, "h1": 7, "h4": 2}


def rows(one: Desk, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with one.database.transaction() as connection:
        cursor = connection.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


def everything(one: Desk) -> list[list[tuple[Any, ...]]]:
    """Return all bars and the ledger, but for when they were stored."""
    return [
        rows(
            one,
            "select timeframe, ts, provider, open, high, low, close, volume, vwap, trade_count,"
            " data_status, is_intraday from ohlc_bars_v2 order by 1, 2, 3",
        ),
        rows(
            one,
            "select day, state, reason, expected, bars, answers, absences, unconfirmed,"
            " ask_again_at, provider, request_id, settled_at from session_coverage order by 1",
        ),
        rows(one, "select timeframe, from_ts, to_ts from coverage_status order by 1"),
        rows(one, "select final, unsettled, provisional, bars from session_totals order by 1"),
        rows(one, "select * from market_sessions order by 1"),
    ]


def of_day(one: Desk, table: str = "ohlc_bars_v2", day: date = WEDNESDAY) -> dict[str, int]:
    found = rows(
        one,
        f"select timeframe::text, count(*) from {table} where ts >= new_york_midnight(%s)"
        " and ts < new_york_midnight(%s::date + 1) group by 1",
        day,
        day,
    )
    return dict(found)


def charted(one: Desk, timeframe: str) -> int:
    return len(
        rows(
            one,
            "select from get_chart_bars(%s, %s::timeframe, new_york_midnight(%s),"
            " new_york_midnight(%s::date + 1))",
            one.symbol_id,
            timeframe,
            WEDNESDAY,
            WEDNESDAY,
        )
    )


def fill(one: Desk, calendar: Calendar) -> None:
    filler = Filler(one.polygon, one.store, one.ledger, calendar)
    list(filler.fill(one.target, calendar.between(MONDAY, LAST), now=one.now))


def planned(one: Desk) -> list[tuple[date, date]]:
    """Return the stretches that a window of these four sessions has still to ask for."""
    rows(one, "delete from job_definitions where window_days <> 4")
    rows(one, "select ensure_job(%s, 'm15', 4, 200)", one.symbol)
    rows(one, "select plan_job_runs(%s)", one.symbol)
    return rows(
        one,
        "select distinct first_day, last_day from job_runs where status in ('queued', 'running')",
    )


def percent(one: Desk) -> list[tuple[Any, ...]]:
    return rows(
        one,
        "select p.sessions, p.sessions_settled from job_definitions d"
        " cross join lateral get_job_progress(d.id) p where d.timeframe = 'm15' and d.symbol = %s",
        one.symbol,
    )


def test_a_day_that_is_closed_keeps_its_bars_aside_and_they_come_back_to_the_last_digit(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    one.fill(MONDAY, LAST)
    before, book = everything(one), CalendarBook(one.database)
    assert book.add(CLOSED)
    assert (of_day(one), of_day(one, "bars_aside")) == ({}, WHOLE)
    assert [charted(one, timeframe) for timeframe in WHOLE] == [0, 0, 0]
    assert sorted(one.coverage()) == [MONDAY, date(2026, 11, 17), LAST]
    assert load_calendar(one.database).session(WEDNESDAY) is None
    assert rows(one, "select from market_sessions where day = %s", WEDNESDAY) == []
    assert rows(one, "select bars, final from session_totals") == [(3 * 26, 3)]
    assert rows(one, "select from get_session_gaps('AAPL', %s, %s)", MONDAY, LAST) == []
    (told,) = book.announced()
    assert (told.change, told.bars_aside) == (CLOSED, 26)
    one.simulator.forget_requests()
    assert book.remove(WEDNESDAY) == CLOSED
    assert everything(one) == before
    assert (of_day(one, "bars_aside"), book.announced(), one.asked()) == ({}, [], [])


def test_an_early_close_cuts_hours_ledger_and_counts_and_all_comes_back(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    one.fill(MONDAY, LAST)
    before, book = everything(one), CalendarBook(one.database)
    for change, slots, hours, fours in ((EARLY, 14, 4, 1), (NOON, 10, 3, 1), (EARLY, 14, 4, 1)):
        assert book.add(change)
        assert of_day(one) == {"m15": slots, "h1": hours, "h4": fours}
        assert of_day(one, "bars_aside")["m15"] == 26 - slots
        row = one.coverage()[WEDNESDAY]
        assert (row.state, row.expected, row.bars, row.absences) == (State.FINAL, slots, slots, {})
        assert one.ledger.underivable_bars(one.symbol_id, [WEDNESDAY]) == []
        assert one.ledger.stray_bars(one.symbol_id, MONDAY, LAST) == []
    assert book.add(CLOSED)
    assert (of_day(one), WEDNESDAY in one.coverage()) == ({}, False)
    assert book.add(EARLY)
    assert of_day(one) == {"m15": 14, "h1": 4, "h4": 1}
    assert not book.add(EARLY)
    book.remove(WEDNESDAY)
    assert everything(one) == before
    assert of_day(one, "bars_aside") == {}


def test_what_is_derived_of_a_cut_day_is_what_a_fill_by_the_new_calendar_derives(
    desk: Callable[..., Desk],
) -> None:
    one, other = desk("AAPL"), desk("MSFT")
    one.fill(MONDAY, LAST)
    CalendarBook(one.database).add(EARLY)
    fill(other, load_calendar(other.database))
    assert other.coverage()[WEDNESDAY].expected == 14
    session = load_calendar(one.database).session(WEDNESDAY)
    assert session is not None
    for timeframe in (Timeframe.H1, Timeframe.H4):
        m15 = one.store.read(one.symbol_id, Timeframe.M15, session.opens, session.closes)
        right = resample(m15, [session], timeframe)
        stored = one.store.read(one.symbol_id, timeframe, session.opens, session.closes)
        assert stored.drop("volume", "vwap").equals(right.drop("volume", "vwap"))
        for column in ("volume", "vwap"):
            assert stored[column].to_list() == pytest.approx(right[column].to_list(), rel=1e-12)


def test_a_day_that_nobody_had_asked_for_is_not_asked_for_while_closed_and_is_afterwards(
    desk: Callable[..., Desk],
) -> None:
    one, book = desk(), CalendarBook(desk().database)
    book.add(CLOSED)
    fill(one, load_calendar(one.database))
    assert planned(one) == []
    assert WEDNESDAY not in one.coverage()
    assert percent(one) == [(3, 3)]
    book.remove(WEDNESDAY)
    assert planned(one) == [(WEDNESDAY, WEDNESDAY)]
    assert percent(one) == [(4, 3)]
    fill(one, load_calendar(one.database))
    one.assert_exact(MONDAY, LAST)
    assert percent(one) == [(4, 4)]


def test_a_session_that_was_only_judged_to_its_early_close_is_judged_anew(
    desk: Callable[..., Desk],
) -> None:
    one, book = desk(), CalendarBook(desk().database)
    book.add(EARLY)
    fill(one, load_calendar(one.database))
    assert one.coverage()[WEDNESDAY].expected == 14
    book.remove(WEDNESDAY)
    assert WEDNESDAY not in one.coverage()
    assert of_day(one)["m15"] == 14
    assert planned(one) == [(WEDNESDAY, WEDNESDAY)]
    fill(one, load_calendar(one.database))
    one.assert_exact(MONDAY, LAST)


@pytest.mark.parametrize(("change", "left"), [(CLOSED, 0), (EARLY, 14)])
def test_a_run_keeps_the_calendar_it_began_with_and_what_it_stores_follows_the_new_one(
    desk: Callable[..., Desk], change: Change, left: int
) -> None:
    one, book = desk(), CalendarBook(desk().database)
    storage = open_storage(one.database, Clock(one.database.clock_offset))
    began_with = storage.calendar
    book.add(change)
    assert storage.calendar is began_with
    fill(one, storage.calendar)
    assert of_day(one).get("m15", 0) == left
    assert of_day(one, "bars_aside")["m15"] == 26 - left
    row = one.coverage().get(WEDNESDAY)
    assert (row.expected, row.bars) == (left, left) if row and left else row is None
    assert one.ledger.stray_bars(one.symbol_id, MONDAY, LAST) == []
    assert one.ledger.underivable_bars(one.symbol_id, [WEDNESDAY]) == []
    # The other way round: the run that knows the change stores after it was taken back.
    following = open_storage(one.database, Clock(one.database.clock_offset)).calendar
    book.remove(WEDNESDAY)
    one.assert_exact(MONDAY, LAST)
    rows(one, "delete from session_coverage")
    fill(one, following)
    known = one.coverage().get(WEDNESDAY)
    assert known is None or known.expected == 26
    storage.close()


def test_a_run_that_derives_anew_by_the_calendar_of_before_leaves_no_hour_outside(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    one.fill(MONDAY, LAST)
    session = xnys().session(WEDNESDAY)
    assert session is not None
    m15 = one.store.read(one.symbol_id, Timeframe.M15, session.opens, session.closes)
    CalendarBook(one.database).add(EARLY)
    one.store.write(
        SessionsWrite(
            symbol_id=one.symbol_id,
            provider="polygon",
            opens=session.opens,
            closes=session.closes,
            bars={name: resample(m15, [session], name) for name in (Timeframe.H1, Timeframe.H4)},
            forming=None,
            coverage=(),
            rejects=pl.DataFrame(schema=REJECT_SCHEMA),
            request_id=None,
        )
    )
    assert of_day(one) == {"m15": 14, "h1": 4, "h4": 1}
    assert one.ledger.underivable_bars(one.symbol_id, [WEDNESDAY]) == []


def test_live_bars_of_a_day_come_back_though_the_day_has_passed(
    desk: Callable[..., Desk], database_url: str
) -> None:
    noon = datetime(2026, 11, 18, 14, 30, tzinfo=NEW_YORK)
    one = desk(database=Database(database_url, noon - datetime.now(UTC)), today=WEDNESDAY)
    session = xnys().session(WEDNESDAY)
    assert session is not None
    truth = one.simulator.truth("AAPL", "m15", WEDNESDAY, WEDNESDAY)[:19]
    rows(
        one,
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, is_intraday, open, high,"
        " low, close, volume, data_status) select %s, 'm15', (b ->> 'ts')::timestamptz, 'tradier',"
        " true, (b ->> 'open')::float8, (b ->> 'high')::float8, (b ->> 'low')::float8,"
        " (b ->> 'close')::float8, (b ->> 'volume')::float8, 'live'"
        " from jsonb_array_elements(%s::jsonb) b",
        one.symbol_id,
        json.dumps(truth),
    )
    rows(
        one,
        "insert into session_coverage (symbol_id, day, state, expected, bars, answers, provider)"
        " values (%s, %s, 'provisional', 26, 19, 0, 'tradier')",
        one.symbol_id,
        WEDNESDAY,
    )
    CalendarBook(one.database).add(EARLY)
    assert of_day(one) == {"m15": 14}
    row = one.coverage(WEDNESDAY, WEDNESDAY)[WEDNESDAY]
    assert (row.state, row.expected, row.bars) == (State.PROVISIONAL, 14, 14)
    tomorrow = Database(database_url, noon + timedelta(days=1) - datetime.now(UTC))
    CalendarBook(tomorrow).remove(WEDNESDAY)
    assert of_day(one) == {"m15": 19}
    row = one.coverage(WEDNESDAY, WEDNESDAY)[WEDNESDAY]
    assert (row.state, row.expected, row.bars) == (State.PROVISIONAL, 26, 19)


def test_a_slice_that_waits_for_a_closed_day_alone_is_done(desk: Callable[..., Desk]) -> None:
    one, book = desk(), CalendarBook(desk().database)
    full = xnys().between(MONDAY, LAST)
    filler = Filler(one.polygon, one.store, one.ledger, xnys())
    list(filler.fill(one.target, [s for s in full if s.day != WEDNESDAY], now=one.now))
    rows(one, "delete from session_coverage where day = %s", WEDNESDAY)
    assert planned(one) == [(WEDNESDAY, WEDNESDAY)]
    book.add(CLOSED)
    assert rows(one, "select distinct status from job_runs") == [("success",)]
    assert planned(one) == []


def test_migrate_applies_the_changes_again(desk: Callable[..., Desk]) -> None:
    one, book = desk(), CalendarBook(desk().database)
    one.fill(MONDAY, LAST)
    book.add(CLOSED)
    book.add(Change(date(2027, 1, 29), time(13)))
    rows(one, "update market_sessions set closes = closes - interval '1 hour'")
    rows(one, "insert into market_sessions values ('2026-11-18', '2026-11-18', '2026-11-19')")
    migrate(one.database, date(2024, 1, 2))
    calendar = load_calendar(one.database)
    assert rows(one, "select day, opens, closes from market_sessions order by day") == [
        (session.day, session.opens, session.closes) for session in calendar.sessions
    ]
    friday = calendar.session(date(2027, 1, 29))
    assert friday is not None
    assert (friday.slots, WEDNESDAY in calendar.closures) == (14, True)
    assert of_day(one) == {}


def test_a_change_that_is_not_there_cannot_be_removed(desk: Callable[..., Desk]) -> None:
    book = CalendarBook(desk().database)
    with pytest.raises(UsageError, match=r"^day: 2026-11-18 has no change; "):
        book.remove(WEDNESDAY)
    book.add(CLOSED)
    book.remove(WEDNESDAY)
    with pytest.raises(UsageError, match=r"^day: 2026-11-18 has no change; "):
        book.remove(WEDNESDAY)
