"""What is in doubt heals, and what cannot be is not stored: the filler against odd answers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from resources.bars.witnesses import Witnesses
from resources.postgres.database import Database
from resources.providers.contract import Answer
from swiftbolt_assets.errors import MalformedReplyError, UnavailableError
from swiftbolt_assets.filling.doubts import Doubts
from swiftbolt_assets.market.bars import BAR_SCHEMA
from swiftbolt_assets.market.coverage import Reason, State
from swiftbolt_assets.market.sessions import Session, xnys

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.filling.conftest import Desk, Simulator

FIRST, LAST = date(2026, 10, 19), date(2026, 11, 19)
DAY = date(2026, 11, 4)
_session = xnys().session(DAY)
assert _session is not None
SESSION: Session = _session
SLOTS = SESSION.slot_starts()

Change = Any


class Odd:
    """The simulator's answers, changed by the moment's fault; counts what is asked."""

    def __init__(self, one: Desk) -> None:
        self.name = one.polygon.name
        self.change: Change | None = None
        self.windows: list[tuple[date, date]] = []
        self._inner = one.polygon

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        answer = self._inner.fetch(symbol, first, last, priority=priority)
        self.windows.append((first, last))
        if self.change is None:
            return answer
        bars = self.change(answer.bars)
        return Answer(**{name: getattr(answer, name) for name in _FIELDS} | {"bars": bars})


_FIELDS = (
    "provider", "symbol", "first", "last", "base_minutes", "requests", "request_ids", "broken_off",
)  # fmt: skip


def lost(*slots: datetime) -> Change:
    return lambda bars: bars.filter(~pl.col("ts").is_in(list(slots)))


def times(factor: float, column: str, *slots: datetime) -> Change:
    chosen = pl.when(pl.col("ts").is_in(list(slots)))
    return lambda bars: bars.with_columns(
        chosen.then(pl.col(column) * factor).otherwise(pl.col(column)).alias(column)
    )


def doubts(one: Desk, other: Any = None) -> Doubts:  # noqa: ANN401 - a provider
    return Doubts(Witnesses(one.database), other, one.now, xnys(), lambda _line: None)


@pytest.mark.parametrize("slots", [SLOTS, SLOTS[20:], SLOTS[:7], SLOTS[9:12]])
def test_what_a_provider_has_lost_is_in_doubt_and_stored_when_it_comes_days_later(
    desk: Callable[..., Desk], slots: list[datetime]
) -> None:
    one = desk()
    odd = Odd(one)
    odd.change = lost(*slots)
    one.fill(FIRST, LAST, provider=odd)
    row = one.coverage(DAY, DAY)[DAY]
    assert (row.state, row.unconfirmed) == (State.FINAL, len(slots))
    asked = len(odd.windows)
    assert one.fill(FIRST, LAST, provider=odd) == []
    assert len(odd.windows) == asked
    one.later = timedelta(days=5)
    odd.change = None
    one.fill(FIRST, LAST, provider=odd)
    assert len(odd.windows) == asked + 1
    one.assert_exact(FIRST, LAST)


def test_a_doubt_rides_along_with_another_days_request(desk: Callable[..., Desk]) -> None:
    one = desk()
    odd = Odd(one)
    odd.change = lost(*SLOTS[20:])
    one.fill(FIRST, date(2026, 11, 17), provider=odd)
    odd.change = None
    # Neither due nor asked for: the request for yesterday has room for it.
    one.later = timedelta(hours=1)
    one.fill(LAST, LAST, provider=odd)
    assert odd.windows[-1] == (DAY, LAST)
    assert one.coverage(DAY, DAY)[DAY].bars == 26


def test_what_an_answer_holds_of_the_symbols_window_is_stored_whoever_asked(
    desk: Callable[..., Desk],
) -> None:
    # A seeded symbol: its window is wider than what is asked for here.
    one = desk()
    week = [session.day for session in one.sessions(date(2026, 11, 9), date(2026, 11, 13))]
    filled = one.fill(week[0], week[0]) + one.fill(week[-1], week[-1])
    assert [row.day for answer in filled for row in answer.coverage] == [week[0], week[-1]]
    odd = Odd(one)
    sessions = [s for s in one.sessions(week[0], week[-1]) if s.day in {week[0], week[-1]}]
    from swiftbolt_assets.filling.filler import Filler

    filler = Filler(odd, one.store, one.ledger, xnys())
    list(filler.fill(one.target, sessions, now=one.now, force=True))
    assert odd.windows == [(week[0], week[-1])]
    one.assert_exact(week[0], week[-1])


def test_others_that_trade_later_make_a_halt_of_a_doubt_without_a_request(
    desk: Callable[..., Desk], simulator: Simulator
) -> None:
    one = desk()
    odd = Odd(one)
    odd.change = lost(*SLOTS[8:12])
    one.fill(FIRST, LAST, provider=odd)
    assert one.coverage(DAY, DAY)[DAY].unconfirmed == 4
    other = desk("MSFT")
    other.fill(FIRST, LAST)
    simulator.forget_requests()
    assert doubts(other).settle(other.target) == 4
    row = one.coverage(DAY, DAY)[DAY]
    assert (set(row.absences.values()), row.unconfirmed) == ({Reason.HALTED}, 0)
    assert simulator.requests() == []


def before(day: date) -> Change:
    """Lose every bar before a day."""
    at = datetime.combine(day, datetime.min.time(), UTC)
    return lambda bars: bars.filter(pl.col("ts") >= at)


@pytest.mark.parametrize("begins", [date(2026, 10, 21), date(2026, 11, 5)])
def test_a_lost_beginning_is_in_doubt_and_heals(desk: Callable[..., Desk], begins: date) -> None:
    desk("MSFT").fill(FIRST, LAST)
    one = desk()
    odd = Odd(one)
    odd.change = before(begins)
    one.fill(FIRST, LAST, provider=odd)
    doubts(one).settle(one.target)
    lost_days = [s.day for s in one.sessions(FIRST, LAST) if s.day < begins]
    rows = one.coverage(FIRST, LAST)
    assert {rows[day].reason for day in lost_days} == {Reason.UNCONFIRMED}
    one.later, odd.change = timedelta(days=1), None
    one.fill(FIRST, LAST, provider=odd)
    one.assert_exact(FIRST, LAST)


def test_an_earlier_bar_opens_again_what_was_believed_to_be_before_the_listing(
    desk: Callable[..., Desk], database_url: str
) -> None:
    one = desk()
    odd = Odd(one)
    odd.change = before(date(2026, 11, 5))
    for days in (0, 1, 5, 20):
        one.later = timedelta(days=days)
        one.fill(FIRST, LAST, provider=odd)
    assert one.coverage(FIRST, FIRST)[FIRST].reason is Reason.NOT_LISTED
    assert one.coverage(FIRST, FIRST)[FIRST].again_at is None
    # By the database's market clock, too.
    later = one.now - datetime.now(UTC)
    one = desk(database=Database(database_url, later), later=one.later)
    odd = Odd(one)
    # A wider window is wanted: the provider has what lies before, and still not what lies between.
    october = datetime(2026, 10, 19, tzinfo=UTC)
    november = datetime(2026, 11, 5, tzinfo=UTC)
    lies_between = (pl.col("ts") >= october) & (pl.col("ts") < november)
    odd.change = lambda bars: bars.filter(~lies_between)
    wider = date(2026, 9, 21)
    one.fill(wider, LAST, provider=odd)
    row = one.coverage(FIRST, FIRST)[FIRST]
    assert (row.state, row.reason, row.unconfirmed) == (State.FINAL, Reason.UNCONFIRMED, 26)
    assert row.again_at is not None
    assert abs(row.again_at - one.now) < timedelta(minutes=15)
    one.later, odd.change = timedelta(days=21), None
    one.fill(wider, LAST, provider=odd)
    one.assert_exact(wider, LAST)


def test_a_bar_that_came_and_was_not_believed_is_no_halt(desk: Callable[..., Desk]) -> None:
    desk("MSFT").fill(FIRST, LAST)
    one = desk()
    odd = Odd(one)
    slots = SLOTS[10:14]
    odd.change = times(0.0001, "low", *slots)
    one.fill(FIRST, LAST, provider=odd)
    doubts(one).settle(one.target)
    doubts(one).settle(one.target)
    row = one.coverage(DAY, DAY)[DAY]
    assert row.absences == dict.fromkeys(slots, Reason.UNCONFIRMED)
    # Left out the next time: it was not silent, though others traded.
    one.later, odd.change = timedelta(minutes=11), lost(*slots)
    one.fill(FIRST, LAST, provider=odd)
    doubts(one).settle(one.target)
    row = one.coverage(DAY, DAY)[DAY]
    assert row.absences == dict.fromkeys(slots, Reason.UNCONFIRMED)
    one.later, odd.change = timedelta(days=1), None
    one.fill(FIRST, LAST, provider=odd)
    one.assert_exact(DAY, DAY)


def test_every_other_bar_lost_is_no_dozen_of_halts(desk: Callable[..., Desk]) -> None:
    desk("MSFT").fill(FIRST, LAST)
    one = desk()
    odd = Odd(one)
    odd.change = lost(*SLOTS[1:24:2])
    one.fill(FIRST, LAST, provider=odd)
    doubts(one).settle(one.target)
    assert set(one.coverage(DAY, DAY)[DAY].absences.values()) == {Reason.UNCONFIRMED}


class Second:
    """Another provider, with the bars it is given."""

    name = "tradier"

    def __init__(self, bars: pl.DataFrame | Exception) -> None:
        self.bars = bars
        self.windows: list[tuple[date, date]] = []

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        assert priority == 0
        self.windows.append((first, last))
        if isinstance(self.bars, Exception):
            raise self.bars
        return Answer("tradier", symbol, first, last, self.bars, 0, 1, (), None)


@pytest.mark.parametrize(
    ("there", "reason"), [(True, Reason.UNCONFIRMED), (False, Reason.NO_TRADE)]
)
def test_another_provider_is_asked_once_and_settles_or_keeps_the_doubt(
    desk: Callable[..., Desk], reason: Reason, *, there: bool
) -> None:
    one = desk()
    odd = Odd(one)
    whole = one.polygon.fetch("AAPL", FIRST, LAST, priority=200).bars
    odd.change = lost(*SLOTS[20:])
    one.fill(FIRST, LAST, provider=odd)
    second = Second(whole if there else odd.change(whole))
    for _ in range(2):
        doubts(one, second).settle(one.target)
    assert len(second.windows) == 1
    assert set(one.coverage(DAY, DAY)[DAY].absences.values()) == {reason}


@pytest.mark.parametrize("slots", [SLOTS[20:], SLOTS[8:11]])
def test_a_dear_shares_small_bars_elsewhere_keep_its_doubt_until_they_come(
    desk: Callable[..., Desk], slots: list[datetime]
) -> None:
    one = desk()
    odd = Odd(one)

    def dear(bars: pl.DataFrame) -> pl.DataFrame:
        # Some 40 to 300 shares a quarter hour.
        return bars.with_columns((pl.col("volume") / 10_000).floor() % 260 + 40)

    whole = dear(one.polygon.fetch("AAPL", FIRST, LAST, priority=200).bars)
    odd.change = lambda bars: lost(*slots)(dear(bars))
    one.fill(FIRST, LAST, provider=odd)
    desk("MSFT").fill(FIRST, LAST)
    second = Second(whole)
    for _ in range(2):
        doubts(one, second).settle(one.target)
    row = one.coverage(DAY, DAY)[DAY]
    assert (row.unconfirmed, row.again_at) == (len(slots), one.now + timedelta(hours=4))
    assert row.witness is not None
    assert set(slots) <= row.witness.keys()
    assert len(second.windows) == 1
    one.later, odd.change = timedelta(days=1), dear
    one.fill(FIRST, LAST, provider=odd)
    assert one.coverage(DAY, DAY)[DAY].bars == 26


@pytest.mark.parametrize(("shares", "reason"), [(60, Reason.UNCONFIRMED), (None, Reason.HALTED)])
def test_odd_lots_elsewhere_are_no_halt_and_no_trade_only_in_time(
    desk: Callable[..., Desk], shares: float | None, reason: Reason
) -> None:
    one = desk()
    odd = Odd(one)
    slots = SLOTS[8:11]
    whole = one.polygon.fetch("AAPL", FIRST, LAST, priority=200).bars
    odd.change = lost(*slots)
    one.fill(FIRST, LAST, provider=odd)
    desk("MSFT").fill(FIRST, LAST)
    few = pl.when(pl.col("ts").is_in(slots)).then(shares).otherwise(pl.col("volume"))
    second = Second(whole.with_columns(few.alias("volume")).drop_nulls("volume"))
    doubts(one, second).settle(one.target)
    row = one.coverage(DAY, DAY)[DAY]
    assert set(row.absences.values()) == {reason}
    assert (row.again_at is None) == (reason is Reason.HALTED)
    for days in (1, 5, 20):
        one.later = timedelta(days=days)
        one.fill(FIRST, LAST, provider=odd)
    expected = Reason.NO_TRADE if shares else Reason.HALTED
    assert set(one.coverage(DAY, DAY)[DAY].absences.values()) == {expected}


def test_another_provider_that_fails_changes_nothing(desk: Callable[..., Desk]) -> None:
    one = desk()
    odd = Odd(one)
    odd.change = lost(*SLOTS[20:])
    one.fill(FIRST, LAST, provider=odd)
    before = one.coverage(DAY, DAY)[DAY]
    down = Second(UnavailableError("tradier: HTTP 503"))
    assert doubts(one, down).settle(one.target) == 0
    assert one.coverage(DAY, DAY)[DAY] == before


@pytest.mark.parametrize(("column", "factor"), [("high", 100), ("low", 0.01), ("high", 5)])
def test_a_price_far_from_its_neighbours_is_stored_when_it_comes_twice_and_marked(
    desk: Callable[..., Desk], column: str, factor: float
) -> None:
    one = desk()
    odd = Odd(one)
    odd.change = times(factor, column, SLOTS[9])
    one.fill(FIRST, LAST, provider=odd)
    row = one.coverage(DAY, DAY)[DAY]
    assert (row.state, row.bars, row.absences) == (
        State.FINAL, 25, {SLOTS[9]: Reason.UNCONFIRMED},
    )  # fmt: skip
    assert set(one.rejects()) == {"far_from_neighbours"}
    assert row.again_at == one.now + timedelta(minutes=10)
    with one.database.transaction() as connection:
        connection.execute("update rejected_bars set rejected_at = rejected_at - interval '3 s'")
    one.later = timedelta(minutes=11)
    one.fill(FIRST, LAST, provider=odd)
    row = one.coverage(DAY, DAY)[DAY]
    assert (row.bars, row.marks) == (26, {SLOTS[9]: "far_from_neighbours"})
    assert one.ledger.underivable_bars(one.symbol_id, [DAY]) == []


def test_a_price_that_was_wrong_once_is_stored_as_the_second_answer_has_it(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    odd = Odd(one)
    spoil = times(100, "high", SLOTS[9])

    def once(bars: pl.DataFrame) -> pl.DataFrame:
        odd.change = None
        return spoil(bars)

    odd.change = once
    one.fill(FIRST, LAST, provider=odd)
    one.assert_exact(FIRST, LAST)
    assert one.coverage(DAY, DAY)[DAY].marks == {}


def test_a_day_that_is_far_from_the_days_beside_it_is_not_stored_at_once(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    one.fill(FIRST, date(2026, 11, 3))
    one.fill(date(2026, 11, 5), LAST)
    odd = Odd(one)

    def hundredfold(bars: pl.DataFrame) -> pl.DataFrame:
        prices = pl.col("open", "high", "low", "close", "vwap") * 100
        return bars.with_columns(prices)

    odd.change = hundredfold
    one.fill(DAY, DAY, provider=odd)
    row = one.coverage(DAY, DAY)[DAY]
    assert (row.bars, row.reason, row.unconfirmed) == (0, Reason.UNCONFIRMED, 26)


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [("high", 1e12, "price_impossible"), ("volume", 1e20, "volume_impossible")],
)
def test_what_cannot_be_is_rejected_and_asked_for_again_after_days_too(
    desk: Callable[..., Desk], column: str, value: float, rule: str
) -> None:
    one = desk()
    odd = Odd(one)
    chosen = pl.when(pl.col("ts") == SLOTS[9])
    odd.change = lambda bars: bars.with_columns(
        chosen.then(value).otherwise(pl.col(column)).alias(column)
    )
    one.fill(DAY, DAY, provider=odd)
    assert set(one.rejects()) == {rule}
    assert one.coverage(DAY, DAY)[DAY].absences == {SLOTS[9]: Reason.REJECTED}
    odd.change, one.later = None, timedelta(days=1)
    one.fill(DAY, DAY, provider=odd)
    assert one.coverage(DAY, DAY)[DAY].bars == 26


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("hour_shift", "hour"),
        ("late_bars", "misaligned"),
        ("seconds_stamps", "seconds"),
    ],
)
def test_a_reply_that_cannot_be_trusted_as_a_whole_is_a_failure_and_stores_nothing(
    desk: Callable[..., Desk], simulator: Simulator, kind: str, says: str
) -> None:
    one = desk()
    simulator.faults(kinds=[kind], provider="polygon")
    with pytest.raises(MalformedReplyError, match=says):
        one.fill(FIRST, LAST)
    assert one.coverage(FIRST, LAST) == {}
    assert one.bars("m15", FIRST, LAST).is_empty()
    simulator.healthy()
    one.cool_down_is_over()
    one.fill(FIRST, LAST)
    one.assert_exact(FIRST, LAST)


def test_a_bar_outside_its_day_is_no_bar(desk: Callable[..., Desk]) -> None:
    one = desk()
    odd = Odd(one)
    stray = datetime(2026, 11, 7, 15, 0, tzinfo=UTC)
    odd.change = lambda bars: pl.concat(
        [bars, bars[-1:].with_columns(pl.lit(stray, BAR_SCHEMA["ts"]).alias("ts"))]
    ).sort("ts")
    one.fill(FIRST, LAST, provider=odd)
    one.assert_exact(FIRST, LAST)
