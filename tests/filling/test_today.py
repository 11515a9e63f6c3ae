"""Today's bars from Tradier, and what becomes of them when the day is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from resources.bars.overview import replaced_days
from resources.postgres.database import Database
from resources.providers.endpoint import Secret
from resources.providers.http import Bounds, Transport
from resources.providers.rate_limit import Unlimited
from resources.providers.tradier.bars import TradierClient
from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.errors import MalformedReplyError, UnavailableError
from swiftbolt_assets.filling.today import refresh_today
from swiftbolt_assets.market.coverage import Reason, State
from swiftbolt_assets.market.sessions import xnys

if TYPE_CHECKING:
    from collections.abc import Callable

    from resources.providers.contract import Answer
    from swiftbolt_assets.filling.filler import Filled
    from tests.filling.conftest import Desk, Simulator

TODAY = date(2026, 11, 20)
SESSION = xnys().between(TODAY, TODAY)[0]


def new_york(hour: int, minute: int, day: date = TODAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK).astimezone(UTC)


class Clocks:
    """A simulator and desks whose market clock stands where the test puts it."""

    def __init__(
        self, desk: Callable[..., Desk], start: Callable[..., Simulator], url: str
    ) -> None:
        self.now = new_york(15, 7)
        self.simulator = start(now=lambda: self.now)
        self._desk = desk
        self._url = url

    def desk(self, symbol: str = "AAPL") -> Desk:
        database = Database(self._url, self.now - datetime.now(UTC))
        return self._desk(symbol, simulator=self.simulator, database=database)

    def refresh(self, one: Desk) -> Filled:
        transport = Transport(
            self.simulator.url,
            name="tradier",
            key=Secret("any", "TRADIER_TOKEN"),
            limiter=Unlimited(),
            record=one.ledger.record_request,
            bounds=Bounds(first_wait_s=0.001),
        )
        try:
            return refresh_today(
                one.target,
                SESSION,
                now=self.now,
                provider=TradierClient(transport),
                store=one.store,
            )
        finally:
            transport.close()


@pytest.fixture
def clocks(
    desk: Callable[..., Desk], other_simulator: Callable[..., Simulator], database_url: str
) -> Clocks:
    return Clocks(desk, other_simulator, database_url)


def statuses(one: Desk, timeframe: str) -> list[tuple[str, str, bool]]:
    with one.database.transaction() as connection:
        return connection.execute(
            "select provider::text, data_status, is_intraday from ohlc_bars_v2"
            " where timeframe = %s::timeframe order by ts, provider",
            (timeframe,),
        ).fetchall()


def test_the_closed_bars_of_today_are_live_and_the_forming_one_is_provisional(
    clocks: Clocks,
) -> None:
    one = clocks.desk()
    filled = clocks.refresh(one)
    assert filled.requests == 1
    live, forming = ("tradier", "live", True), ("tradier", "provisional", True)
    assert statuses(one, "m15") == [live] * 22 + [forming]
    assert statuses(one, "h1") == [live] * 5 + [forming]
    assert statuses(one, "h4") == [live, forming]
    row = one.coverage(TODAY, TODAY)[TODAY]
    assert (row.state, row.reason, row.bars, row.expected) == (State.PROVISIONAL, None, 23, 26)


def test_a_refresh_of_the_same_minute_rewrites_nothing(clocks: Clocks) -> None:
    one = clocks.desk()
    clocks.refresh(one)
    again = clocks.refresh(one)
    assert (again.written.inserted, again.written.updated) == (0, 0)


def test_nothing_is_asked_before_the_open(clocks: Clocks) -> None:
    clocks.now = new_york(9, 29)
    one = clocks.desk()
    filled = clocks.refresh(one)
    assert (filled.requests, filled.coverage[0].reason) == (0, Reason.NOT_FETCHED)
    assert clocks.simulator.requests("tradier") == []


def test_after_the_close_all_bars_are_live_and_the_auction_is_neither_stored_nor_rejected(
    clocks: Clocks,
) -> None:
    clocks.now = new_york(17, 30)
    one = clocks.desk()
    clocks.refresh(one)
    assert statuses(one, "m15") == [("tradier", "live", True)] * 26
    assert [len(statuses(one, name)) for name in ("h1", "h4")] == [7, 2]
    assert one.rejects() == []
    assert one.coverage(TODAY, TODAY)[TODAY].state is State.PROVISIONAL


def test_class_shares_are_asked_for_in_the_spelling_of_tradier(clocks: Clocks) -> None:
    one = clocks.desk("BRK.B")
    clocks.refresh(one)
    assert len(statuses(one, "m15")) == 23
    assert "symbol=BRK%2FB" in clocks.simulator.requests("tradier")[0]["query"]


def test_an_answer_that_lost_bars_takes_none_away(clocks: Clocks) -> None:
    one = clocks.desk()
    clocks.refresh(one)
    before = [one.bars(name, TODAY, TODAY) for name in ("m15", "h1", "h4")]
    clocks.simulator.faults(kinds=["empty"], provider="tradier")
    clocks.refresh(one)
    for kept, name in zip(before, ("m15", "h1", "h4"), strict=True):
        assert one.bars(name, TODAY, TODAY).equals(kept)
    assert one.coverage(TODAY, TODAY)[TODAY].bars == 23


@pytest.mark.parametrize("kind", ["nan", "negative", "misaligned", "foreign_date", "duplicate"])
def test_a_bad_bar_of_today_is_rejected_and_comes_with_the_next_refresh(
    clocks: Clocks, kind: str
) -> None:
    one = clocks.desk()
    clocks.simulator.faults(kinds=[kind], times=1, provider="tradier")
    clocks.refresh(one)
    assert len(one.rejects()) == 1
    clocks.refresh(one)
    assert len(statuses(one, "m15")) == 23
    assert len(one.rejects()) == 1


def test_a_failing_provider_leaves_what_is_stored(clocks: Clocks) -> None:
    one = clocks.desk()
    clocks.refresh(one)
    clocks.simulator.faults(kinds=["502"], provider="tradier")
    with pytest.raises(UnavailableError):
        clocks.refresh(one)
    assert len(statuses(one, "m15")) == 23


def test_the_next_day_the_history_replaces_the_live_bars(clocks: Clocks) -> None:
    one = clocks.desk()
    clocks.refresh(one)
    clocks.now = new_york(0, 30, date(2026, 11, 21))
    later = clocks.desk()
    later.today = date(2026, 11, 21)
    later.fill(TODAY, TODAY)
    later.assert_exact(TODAY, TODAY)
    for name in ("m15", "h1", "h4"):
        assert set(statuses(later, name)) == {("polygon", "verified", False)}


def test_history_without_a_day_that_was_seen_live_is_not_believed(clocks: Clocks) -> None:
    one = clocks.desk()
    clocks.refresh(one)
    clocks.now = new_york(0, 30, date(2026, 11, 21))
    later = clocks.desk()
    later.today = date(2026, 11, 21)
    clocks.simulator.faults(kinds=["empty"], times=2, provider="polygon")
    with pytest.raises(MalformedReplyError, match="though it delivered some before"):
        later.fill(TODAY, TODAY)
    later.fill(TODAY, TODAY)
    later.assert_exact(TODAY, TODAY)


def test_what_replacing_live_bars_showed_is_kept(clocks: Clocks) -> None:
    one = clocks.desk()
    clocks.refresh(one)
    with one.database.transaction() as connection:
        connection.execute(
            "update ohlc_bars_v2 set high = high + 2.5, volume = volume + 1000"
            " where timeframe = 'm15' and ts = %s",
            (SESSION.opens,),
        )
        before = connection.execute(
            "select high, volume from ohlc_bars_v2 where timeframe = 'm15' and ts = %s",
            (SESSION.opens,),
        ).fetchone()
    clocks.now = new_york(0, 30, date(2026, 11, 21))
    later = clocks.desk()
    later.today = date(2026, 11, 21)
    (filled,) = later.fill(TODAY, TODAY)
    (kept,) = filled.written.replaced
    assert (kept.day, kept.live_bars, kept.history_bars) == (TODAY, 23, 26)
    # The changed one, the one that was still forming, and three that had not begun.
    assert kept.differing >= 5
    history = later.bars("m15", TODAY, TODAY).row(0, named=True)
    assert before is not None
    assert kept.max_price_difference >= before[0] - history["high"] > 2
    assert kept.max_volume_difference >= 900
    with later.database.transaction() as connection:
        rows = connection.execute(
            "select day, live_bars, history_bars, differing from finalizations"
        ).fetchall()
    assert rows == [(TODAY, 23, 26, kept.differing)]
    assert replaced_days(later.database, later.symbol_id) == [kept]


def test_a_late_correction_changes_its_bar_and_the_two_above_it_for_no_request(
    clocks: Clocks,
) -> None:
    clocks.now = new_york(0, 30, date(2026, 11, 21))
    one = clocks.desk()
    one.today = date(2026, 11, 21)
    before, last = date(2026, 11, 17), date(2026, 11, 19)
    one.fill(before, last)
    with one.database.transaction() as connection:
        # As if the provider had said so then and corrected it since: the day's highest price.
        connection.execute(
            "update ohlc_bars_v2 set high = high + 50 where (timeframe, ts) in (select timeframe,"
            " min(ts) from ohlc_bars_v2 where ts >= '2026-11-18 14:00+00' group by 1)"
        )
    clocks.simulator.forget_requests()
    (filled,) = one.fill(TODAY, TODAY)
    assert len(clocks.simulator.requests()) == 1
    assert (filled.written.inserted, filled.written.updated) == (26 + 7 + 2, 3)
    one.assert_exact(before, TODAY)
    assert {row.state for row in one.coverage(before, TODAY).values()} == {State.FINAL}


def test_a_session_that_is_looked_at_again_stays_settled_whatever_the_answer_lacks(
    clocks: Clocks,
) -> None:
    clocks.now = new_york(0, 30, date(2026, 11, 21))
    one = clocks.desk()
    one.today = date(2026, 11, 21)
    before = date(2026, 11, 18)
    one.fill(before, date(2026, 11, 19))
    clocks.simulator.faults(kinds=["negative"], times=1, provider="polygon")
    one.fill(TODAY, TODAY)
    one.assert_exact(before, TODAY)
    assert {row.state for row in one.coverage(before, TODAY).values()} == {State.FINAL}


def test_an_older_gap_is_filled_without_looking_again(clocks: Clocks) -> None:
    clocks.now = new_york(0, 30, date(2026, 11, 21))
    one = clocks.desk()
    one.today = date(2026, 11, 21)
    one.fill(date(2026, 11, 16), date(2026, 11, 17))
    one.fill(TODAY, TODAY)
    (filled,) = one.fill(date(2026, 11, 18), date(2026, 11, 18))
    assert [row.day for row in filled.coverage] == [date(2026, 11, 18)]


class Late:
    """A provider that has not got today's session yet, but those before it."""

    def __init__(self, one: Desk, times: int, after: datetime = SESSION.opens) -> None:
        self.name = one.polygon.name
        self.asked = 0
        self._inner, self._times, self._after = one.polygon, times, after

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        answer = self._inner.fetch(symbol, first, last, priority=priority)
        self.asked += 1
        if self.asked > self._times:
            return answer
        return replace(answer, bars=answer.bars.filter(pl.col("ts") < self._after))


def ask_in(one: Desk) -> float | None:
    """Return after how many hours of doubt the day is asked for again, and let them pass."""
    row = one.coverage(TODAY, TODAY)[TODAY]
    assert (row.state, row.reason, row.unconfirmed) == (State.FINAL, Reason.UNCONFIRMED, 26)
    if row.again_at is None or row.doubted_at is None:
        return None
    one.later += row.again_at - one.now
    return (row.again_at - row.doubted_at) / timedelta(hours=1)


def test_a_day_that_the_provider_is_late_with_is_asked_for_later_a_bounded_number_of_times(
    clocks: Clocks,
) -> None:
    clocks.now = new_york(0, 30, date(2026, 11, 21))
    one = clocks.desk()
    one.today = date(2026, 11, 21)
    one.fill(date(2026, 11, 18), date(2026, 11, 19))
    late = Late(one, times=100)
    waits = []
    for _ in range(6):
        one.fill(TODAY, TODAY, provider=late)
        assert one.fill(TODAY, TODAY, provider=late) == []
        waits.append(ask_in(one))
    assert waits == [1, 4, 12, 24, 5 * 24, 20 * 24]
    # Twice at first, then once each time.
    assert late.asked == 7
    one.fill(TODAY, TODAY, provider=late)
    row = one.coverage(TODAY, TODAY)[TODAY]
    assert (row.reason, row.again_at, row.unconfirmed) == (Reason.PROVIDER_EMPTY, None, 0)
    assert one.fill(TODAY, TODAY) == []


def test_a_late_day_that_comes_after_all_is_stored(clocks: Clocks) -> None:
    clocks.now = new_york(0, 30, date(2026, 11, 21))
    one = clocks.desk()
    one.today = date(2026, 11, 21)
    one.fill(date(2026, 11, 18), date(2026, 11, 19))
    one.fill(TODAY, TODAY, provider=Late(one, times=2))
    assert ask_in(one) == 1
    one.fill(TODAY, TODAY)
    one.assert_exact(date(2026, 11, 18), TODAY)


def test_live_bars_of_an_afternoon_that_history_lacks_stay_until_it_comes(clocks: Clocks) -> None:
    clocks.now = new_york(16, 30)
    one = clocks.desk()
    one.fill(date(2026, 11, 9), date(2026, 11, 19))
    clocks.refresh(one)
    lost = Late(one, times=2, after=SESSION.opens + timedelta(hours=4))
    clocks.now = new_york(0, 30, date(2026, 11, 21))
    later = clocks.desk()
    later.today = date(2026, 11, 21)
    later.fill(TODAY, TODAY, provider=lost)
    row = later.coverage(TODAY, TODAY)[TODAY]
    assert (row.state, row.bars, row.unconfirmed) == (State.FINAL, 16, 10)
    assert later.bars("m15", TODAY, TODAY).height == 26
    stored = later.bars("h4", TODAY, TODAY)
    assert later.ledger.underivable_bars(later.symbol_id, [TODAY]) == []
    assert row.again_at is not None
    later.later += row.again_at - later.now
    later.fill(TODAY, TODAY)
    later.assert_exact(TODAY, TODAY)
    assert {row[0] for name in ("m15", "h1", "h4") for row in statuses(later, name)} == {"polygon"}
    assert later.bars("h4", TODAY, TODAY)["high"].to_list() == stored["high"].to_list()
