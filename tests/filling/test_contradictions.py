"""What a reply as a whole has otherwise than the table: it waits, and wins when it comes again."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from resources.providers.trouble import present_troubles
from resources.queue.progress import unbelieved
from swiftbolt_assets.errors import LeftAloneError, MalformedReplyError
from swiftbolt_assets.market.coverage import Reason, State
from tests.filling.test_doubts_and_trust import Odd

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.filling.conftest import Desk, Simulator

    Change = Callable[[pl.DataFrame], pl.DataFrame]

FIRST, BEFORE, LAST = date(2026, 10, 19), date(2026, 11, 18), date(2026, 11, 19)
PRICES = ("open", "high", "low", "close", "vwap")


def times(factor: float, *names: str) -> Change:
    return lambda bars: bars.with_columns((pl.col(name) * factor) for name in names)


def late(**by: int) -> Change:
    return lambda bars: bars.with_columns(pl.col("ts") + timedelta(**by))


def since(day: date, change: Change) -> Change:
    newest = pl.col("ts").dt.date() >= day
    return lambda bars: pl.concat([bars.filter(~newest), change(bars.filter(newest))]).sort("ts")


WRONG = {
    "mills": times(1000, *PRICES),
    "a ninth": times(1 / 9, *PRICES),
    "lots": times(0.01, "volume"),
    "a quarter of an hour late": late(minutes=15),
    "a day late": late(days=1),
    "two sessions in cents": since(BEFORE, times(100, *PRICES)),
}


def outcomes(one: Desk) -> list[str]:
    with one.database.transaction() as connection:
        rows = connection.execute("select outcome from provider_requests order by id").fetchall()
    return [row[0] for row in rows]


def age_rejects(one: Desk) -> None:
    with one.database.transaction() as connection:
        connection.execute("update rejected_bars set rejected_at = rejected_at - interval '1 hour'")


@pytest.mark.parametrize("name", WRONG)
def test_a_reply_wrong_as_a_whole_replaces_nothing_and_a_right_one_heals(
    desk: Callable[..., Desk], name: str
) -> None:
    one = desk()
    one.fill(FIRST, BEFORE)
    stored = one.bars("m15", FIRST, BEFORE)
    odd = Odd(one)
    odd.change = WRONG[name]
    one.fill(FIRST, LAST, provider=odd)
    assert one.bars("m15", FIRST, BEFORE).equals(stored)
    newest = one.coverage(LAST, LAST)[LAST]
    assert (newest.state, newest.bars, newest.unconfirmed) == (State.FINAL, 0, 26)
    assert newest.again_at == one.now + timedelta(minutes=10)
    # The question, and once more, now.
    assert len(odd.windows) == 2
    assert outcomes(one) == ["ok", *["MalformedReplyError"] * 2]
    before = one.coverage(BEFORE, BEFORE)[BEFORE]
    assert (set(before.marks.values()), before.bars) == ({"contradicted"}, 26)
    assert one.fill(FIRST, LAST, provider=odd) == []
    assert len(odd.windows) == 2
    odd.change, one.later = None, timedelta(minutes=11)
    one.fill(FIRST, LAST, provider=odd)
    one.assert_exact(FIRST, LAST)
    rows = one.coverage(FIRST, LAST).values()
    assert all(row.again_at is None and not row.marks for row in rows)


def test_a_reply_wrong_once_is_right_in_the_same_run(desk: Callable[..., Desk]) -> None:
    one = desk()
    one.fill(FIRST, BEFORE)
    odd = Odd(one)

    def once(bars: pl.DataFrame) -> pl.DataFrame:
        odd.change = None
        return times(100, *PRICES)(bars)

    odd.change = once
    one.fill(FIRST, LAST, provider=odd)
    one.assert_exact(FIRST, LAST)
    assert len(odd.windows) == 2


def test_what_comes_again_later_wins_and_is_marked(desk: Callable[..., Desk]) -> None:
    one = desk()
    odd = Odd(one)
    odd.change = times(8, *PRICES)
    one.fill(FIRST, BEFORE, provider=odd)
    odd.change = None
    one.fill(FIRST, LAST, provider=odd)
    assert one.coverage(LAST, LAST)[LAST].bars == 0
    age_rejects(one)
    one.later = timedelta(minutes=11)
    one.fill(FIRST, LAST, provider=odd)
    # The night's three sessions; older ones were not asked for.
    one.assert_exact(date(2026, 11, 17), LAST)
    marks = one.coverage(LAST, LAST)[LAST].marks
    assert (len(marks), set(marks.values())) == (26, {"contradicts_stored"})
    one.fill(FIRST, LAST, provider=odd, force=True)
    age_rejects(one)
    one.fill(FIRST, LAST, provider=odd, force=True)
    one.assert_exact(FIRST, LAST)


@pytest.mark.parametrize(
    "change",
    [
        times(1.008, *PRICES),
        times(1.4, "volume"),
        since(BEFORE, times(0.97, "close", "low")),
        lambda bars: bars.with_columns(
            pl.when(pl.int_range(pl.len()) % 9 == 0).then(pl.col("high") * 1.2).otherwise("high")
        ),
    ],
)
def test_corrections_are_stored_at_once_and_cost_no_request(
    desk: Callable[..., Desk], change: Change
) -> None:
    one = desk()
    one.fill(FIRST, BEFORE)
    odd = Odd(one)
    odd.change = change
    one.fill(FIRST, LAST, provider=odd)
    assert len(odd.windows) == 1
    assert outcomes(one) == ["ok"] * 2
    truth = one.polygon.fetch("AAPL", date(2026, 11, 17), LAST, priority=200).bars
    found = one.bars("m15", date(2026, 11, 17), LAST)
    changed = change(truth).join(found.select("ts"), on="ts", how="semi")
    for name in ("high", "close", "volume"):
        assert found[name].to_list() == pytest.approx(changed[name].to_list())
    rows = one.coverage(FIRST, LAST).values()
    assert all(row.again_at is None and not row.marks for row in rows)


def minutes_late(day: date, minutes: int) -> Change:
    there = pl.col("ts").dt.date() == day
    moved = pl.col("ts").dt.offset_by(f"{minutes}m")
    return lambda bars: bars.with_columns(pl.when(there).then(moved).otherwise("ts").alias("ts"))


@pytest.mark.parametrize("minutes", [3, 11])
def test_a_session_all_of_which_was_rejected_is_no_success_and_no_answer(
    desk: Callable[..., Desk], minutes: int
) -> None:
    one = desk()
    one.fill(FIRST, BEFORE)
    odd = Odd(one)
    odd.change = minutes_late(LAST, minutes)
    one.fill(LAST, LAST, provider=odd)
    row = one.coverage(LAST, LAST)[LAST]
    assert (row.bars, row.reason) == (0, Reason.REJECTED)
    assert set(outcomes(one)[1:]) == {"MalformedReplyError"}
    symbols = {"AAPL": one.symbol_id}
    (told,) = unbelieved(one.database, symbols, [LAST])
    assert told.startswith(
        "AAPL: more quarter hours were rejected (26) than stored (0) (misaligned"
    )
    assert unbelieved(one.database, symbols, [BEFORE, LAST]) == []


@pytest.mark.parametrize("kind", ["hour_shift", "late_bars", "seconds_stamps"])
def test_replies_that_are_not_believed_are_no_answers_and_are_told_of(
    desk: Callable[..., Desk], simulator: Simulator, kind: str
) -> None:
    one, other = desk(), desk("MSFT")
    other.fill(LAST, LAST)
    simulator.faults(kinds=[kind], provider="polygon")
    refusal = (
        "insert into symbol_refusals (symbol, error_code, message, fingerprint, refusals,"
        " first_refused_at, last_refused_at)"
        " values ('AAPL', 'INVALID_SYMBOL', 'no', 'no', 1, market_now(), market_now())"
    )
    with one.database.transaction() as connection:
        connection.execute(refusal)
    with pytest.raises(MalformedReplyError):
        one.fill(FIRST, LAST)
    assert set(outcomes(one)[1:]) == {"MalformedReplyError"}
    with one.database.transaction() as connection:
        assert connection.execute("select count(*) from symbol_refusals").fetchone() == (1,)
    with pytest.raises((MalformedReplyError, LeftAloneError)):
        one.fill(FIRST, LAST)
    with one.database.transaction() as connection:
        failures = connection.execute("select failures from provider_health").fetchone()
        connection.execute(
            "insert into job_runs (symbol, timeframe, job_type, slice_from, slice_to, status,"
            " triggered_by, priority) values ('AAPL', 'm15', 'fetch_intraday',"
            " '2026-11-02 14:30Z', '2026-11-19 21:00Z', 'queued', 'user', 100)"
        )
        simulator.healthy()
    assert failures is not None
    assert failures[0] >= 3
    one.cool_down_is_over()
    other.fill(BEFORE, BEFORE)
    with one.database.transaction() as connection:
        found: list[Any] = present_troubles(connection, "AAPL")
    assert [trouble.symbol for trouble in found if trouble.symbol] == ["AAPL"]
