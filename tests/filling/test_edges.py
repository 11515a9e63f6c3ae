"""The filler's steps against a provider that plays a script."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from resources.providers.contract import Answer
from swiftbolt_assets.errors import (
    BeyondPlanError,
    MalformedReplyError,
    NotYetAvailableError,
    UnavailableError,
)
from swiftbolt_assets.market.bars import BAR_SCHEMA
from swiftbolt_assets.market.coverage import Reason, State
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.filling.conftest import Desk

    Act = Exception | Callable[[pl.DataFrame], pl.DataFrame] | None

FIRST, LAST = date(2026, 1, 2), date(2026, 11, 19)
DAY = date(2026, 11, 18)
DOWN = UnavailableError("polygon: HTTP 503")
SLOT = timedelta(minutes=15)


class Scripted:
    """A provider whose sessions have all their bars and one after the close."""

    name = "polygon"

    def __init__(self, *acts: Act, broken_off: Exception | None = None) -> None:
        self.acts = list(acts)
        self.windows: list[tuple[date, date]] = []
        self.broken_off = broken_off

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        assert priority == 200
        self.windows.append((first, last))
        act = self.acts.pop(0) if self.acts else None
        if isinstance(act, Exception):
            raise act
        bars = _bars(first, last)
        broken_off, self.broken_off = self.broken_off, None
        return Answer(
            provider=self.name,
            symbol=symbol,
            first=first,
            last=last,
            bars=act(bars) if act else bars,
            base_minutes=960 * len(xnys().between(first, last)),
            requests=1,
            request_ids=("scripted",),
            broken_off=broken_off,
        )


def _bars(first: date, last: date) -> pl.DataFrame:
    rows = []
    for session in xnys().between(first, last):
        for number, at in enumerate([*session.slot_starts(), session.closes]):
            price = 100.0 + session.day.toordinal() % 50 + number
            rows.append((at, price, price + 1, price - 1, price + 0.5, 1000.5, price, 12))
    return pl.DataFrame(rows, schema=dict(BAR_SCHEMA), orient="row")


def at(hour: int, minute: int, day: date = DAY) -> datetime:
    """Return a New York time in November as an instant."""
    return datetime(day.year, day.month, day.day, hour + 5, minute, tzinfo=UTC)


def with_value(start: datetime, column: str, value: Any) -> Act:  # noqa: ANN401 - any column's
    chosen = pl.when(pl.col("ts") == start).then(pl.lit(value)).otherwise(pl.col(column))
    return lambda bars: bars.with_columns(chosen.alias(column))


def without(*starts: datetime) -> Act:
    return lambda bars: bars.filter(~pl.col("ts").is_in(list(starts)))


def test_what_was_stored_before_a_failure_stays_and_the_next_run_asks_the_rest_only(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    failing = Scripted(None, None, DOWN, DOWN)
    with pytest.raises(UnavailableError):
        one.fill(FIRST, LAST, provider=failing)
    stored = one.coverage(FIRST, LAST)
    assert sorted(stored) == [s.day for s in one.sessions(FIRST, LAST)][-104:]
    assert {row.state for row in stored.values()} == {State.FINAL}
    healthy = Scripted()
    one.fill(FIRST, LAST, provider=healthy)
    assert healthy.windows[0][1] < min(stored)
    assert len(one.coverage(FIRST, LAST)) == len(one.sessions(FIRST, LAST))


def test_the_newest_sessions_come_first_and_a_failed_window_last(desk: Callable[..., Desk]) -> None:
    one = desk()
    provider = Scripted(None, DOWN)
    filled = one.fill(FIRST, LAST, provider=provider)
    days = [row.day for answer in filled for row in answer.coverage]
    newest, failed = days[:52], days[-52:]
    assert newest == sorted(newest, reverse=True)
    assert newest[0] == LAST
    assert failed == [s.day for s in reversed(one.sessions(FIRST, LAST)[-104:-52])]
    assert len(provider.windows) == 6


def test_a_reader_that_stops_early_has_stored_what_it_was_given(desk: Callable[..., Desk]) -> None:
    from swiftbolt_assets.filling.filler import Filler

    one = desk()
    fill = Filler(Scripted(), one.store, one.ledger, xnys()).fill(
        one.target, one.sessions(FIRST, LAST), now=one.now
    )
    first = next(iter(fill))
    fill.close()  # type: ignore[attr-defined]
    assert set(one.coverage(FIRST, LAST)) == {row.day for row in first.coverage}


def test_a_revised_bar_rewrites_its_row_and_the_two_above_it_only(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    provider = Scripted(None, None, with_value(at(14, 45), "volume", 5000.0))
    days = (date(2026, 11, 16), LAST)
    one.fill(*days, provider=provider)
    before = _versions(one)
    one.fill(*days, provider=provider, force=True)
    assert _versions(one) == before
    one.fill(*days, provider=provider, force=True)
    after = _versions(one)
    assert before.keys() == after.keys()
    assert {key for key in before if before[key] != after[key]} == {
        ("m15", at(14, 45)),
        ("h1", at(14, 30)),
        ("h4", at(13, 30)),
    }
    assert len(provider.windows) == 3


def _versions(one: Desk) -> dict[tuple[str, datetime], tuple[str, str]]:
    with one.database.transaction() as connection:
        rows = connection.execute(
            "select timeframe::text, ts, ctid::text, xmin::text from ohlc_bars_v2"
        ).fetchall()
    return {(timeframe, ts): (ctid, xmin) for timeframe, ts, ctid, xmin in rows}


@pytest.mark.parametrize("derived", [(), (Timeframe.H1,), (Timeframe.H4,)])
def test_only_what_is_wanted_is_derived(
    desk: Callable[..., Desk], derived: tuple[Timeframe, ...]
) -> None:
    one = desk(derived=derived)
    (answer,) = one.fill(DAY, DAY, provider=Scripted())
    assert set(answer.bars) == {Timeframe.M15, *derived}
    assert {name for name, _ in _versions(one)} == {"m15", *(str(name) for name in derived)}


def test_a_bar_that_stays_bad_is_final_after_three_answers(desk: Callable[..., Desk]) -> None:
    one = desk()
    bad = with_value(at(11, 0), "low", -1.0)
    provider = Scripted(*[bad] * 9)
    one.fill(DAY, DAY, provider=provider)
    row = one.coverage(DAY, DAY)[DAY]
    assert (row.state, row.bars, row.answers) == (State.FINAL, 25, 3)
    assert row.absences == {at(11, 0): Reason.REJECTED}
    assert one.rejects() == ["price_not_positive"] * 3
    assert len(provider.windows) == 3


def test_a_bar_that_is_rejected_once_is_stored_from_the_second_answer(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    provider = Scripted(with_value(at(11, 0), "ts", at(11, 7)))
    one.fill(DAY, DAY, provider=provider)
    assert one.coverage(DAY, DAY)[DAY].bars == 26
    assert one.rejects() == ["misaligned"]


def test_two_answers_that_disagree_about_a_bar_are_not_enough(desk: Callable[..., Desk]) -> None:
    one = desk()
    provider = Scripted(with_value(at(11, 0), "close", None), without(at(11, 0)))
    one.fill(DAY, DAY, provider=provider)
    assert one.coverage(DAY, DAY)[DAY].bars == 26
    assert len(provider.windows) == 3


def test_an_absence_inside_an_answer_is_no_trade_at_once(desk: Callable[..., Desk]) -> None:
    one = desk()
    provider = Scripted(without(at(11, 0)))
    one.fill(DAY, DAY, provider=provider)
    row = one.coverage(DAY, DAY)[DAY]
    assert (row.state, row.absences) == (State.FINAL, {at(11, 0): Reason.NO_TRADE})
    assert len(provider.windows) == 1


def test_an_absence_at_the_end_of_an_answer_needs_a_second_one(desk: Callable[..., Desk]) -> None:
    one = desk()
    cut = lambda bars: bars.filter(pl.col("ts") < at(15, 0, LAST))  # noqa: E731
    provider = Scripted(cut)
    one.fill(DAY, LAST, provider=provider)
    assert [row.bars for row in one.coverage(DAY, LAST).values()] == [26, 26]
    assert len(provider.windows) == 2


def test_a_bar_of_another_date_never_fills_a_quarter_hour_without_trade(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    hole = at(11, 0, date(2026, 11, 11))

    def stray(bars: pl.DataFrame) -> pl.DataFrame:
        honest = bars.filter(pl.col("ts") != hole)
        moved = honest[200:201].with_columns(pl.lit(hole, BAR_SCHEMA["ts"]).alias("ts"))
        return pl.concat([honest[:200], moved, honest[200:]])

    provider = Scripted(stray, *[without(hole)] * 5)
    one.fill(date(2026, 11, 9), LAST, provider=provider)
    row = one.coverage(hole.date(), hole.date())[hole.date()]
    assert (row.state, row.bars) == (State.FINAL, 25)
    assert row.absences == {hole: Reason.NO_TRADE}
    assert one.rejects() == ["out_of_order"]
    assert hole not in one.bars("m15", date(2026, 11, 9), LAST)["ts"].to_list()


def test_a_bar_without_a_time_makes_its_answer_prove_no_absence(desk: Callable[..., Desk]) -> None:
    one = desk()
    provider = Scripted(with_value(at(11, 0), "ts", None))
    one.fill(DAY, DAY, provider=provider)
    assert one.coverage(DAY, DAY)[DAY].bars == 26
    assert one.rejects() == ["ts_missing"]


def test_an_answer_that_broke_off_settles_the_sessions_before_its_last_bar_only(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    cut = lambda bars: bars.filter(pl.col("ts") < at(12, 0))  # noqa: E731
    provider = Scripted(cut, broken_off=MalformedReplyError("polygon: a page is missing"))
    first, *_ = one.fill(date(2026, 11, 16), LAST, provider=provider)
    assert [row.day for row in first.coverage] == [date(2026, 11, 17), date(2026, 11, 16)]
    assert [r.bars for r in one.coverage(date(2026, 11, 16), LAST).values()] == [26] * 4


def test_an_answer_that_broke_off_before_its_first_session_ended_stores_nothing(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    cut = lambda bars: bars.filter(pl.col("ts") < at(12, 0))  # noqa: E731
    provider = Scripted(cut, broken_off=MalformedReplyError("polygon: a page is missing"))
    first, *_ = one.fill(DAY, DAY, provider=provider)
    assert (first.coverage, first.written.inserted) == ((), 0)
    assert one.coverage(DAY, DAY)[DAY].bars == 26


def test_a_session_that_is_not_served_yet_does_not_hold_up_the_others(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    early = NotYetAvailableError("polygon: HTTP 403: before end of day")
    provider = Scripted(early)
    with pytest.raises(NotYetAvailableError):
        one.fill(date(2026, 11, 16), LAST, provider=provider)
    assert sorted(one.coverage(date(2026, 11, 16), LAST)) == [
        date(2026, 11, 16),
        date(2026, 11, 17),
        date(2026, 11, 18),
    ]
    always = Scripted(*[early] * 9)
    with pytest.raises(NotYetAvailableError):
        one.fill(date(2026, 11, 1), LAST, provider=always, force=True)
    assert len(always.windows) == 2


def test_a_plan_without_recent_bars_is_an_error_and_no_final_word(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    beyond = BeyondPlanError("polygon: HTTP 403: Your plan doesn't include this data timeframe")
    with pytest.raises(BeyondPlanError):
        one.fill(DAY, LAST, provider=Scripted(beyond))
    assert one.coverage(DAY, LAST) == {}


def test_a_plan_that_refused_in_a_bad_hour_is_asked_again_at_one_request(
    desk: Callable[..., Desk],
) -> None:
    one = desk()
    days = (date(2024, 2, 1), date(2024, 9, 30))
    beyond = BeyondPlanError("polygon: HTTP 403: Your plan doesn't include this data timeframe")
    one.fill(*days, provider=Scripted(*[beyond] * 9))
    assert {(r.reason, r.again_at) for r in one.coverage(*days).values()} == {
        (Reason.PLAN_CUT, one.now + timedelta(hours=4))
    }
    assert one.fill(*days, provider=Scripted()) == []
    # It stays: the weeks after cost one request each.
    one.later = timedelta(hours=5)
    still = Scripted(*[beyond] * 9)
    one.fill(*days, provider=still)
    assert len(still.windows) == 1
    one.later = timedelta(days=2)
    assert one.fill(*days, provider=Scripted()) == []
    # The plan is another one now.
    one.later = timedelta(days=29)
    one.fill(*days, provider=Scripted())
    rows = one.coverage(*days)
    assert {(r.state, r.bars, r.again_at) for r in rows.values()} <= {
        (State.FINAL, 26, None), (State.FINAL, 14, None),
    }  # fmt: skip


def test_what_was_stored_while_the_plan_reached_it_stays(desk: Callable[..., Desk]) -> None:
    one = desk()
    days = (date(2024, 6, 3), date(2024, 6, 7))
    one.fill(*days, provider=Scripted())
    beyond = BeyondPlanError("polygon: HTTP 403")
    one.fill(*days, provider=Scripted(beyond), force=True)
    assert {(r.state, r.bars, r.reason) for r in one.coverage(*days).values()} == {
        (State.FINAL, 26, None)
    }
    assert one.bars("m15", *days).height == 26 * 5


def test_nothing_is_asked_for_no_sessions(desk: Callable[..., Desk]) -> None:
    provider = Scripted()
    one = desk()
    assert one.fill(date(2026, 11, 14), date(2026, 11, 15), provider=provider) == []
    assert provider.windows == []
