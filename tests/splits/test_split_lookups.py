"""Splits are asked for once a day and once for each new symbol, and charts fold them."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from swiftbolt_assets.errors import UnavailableError
from swiftbolt_assets.market.bars import BAR_SCHEMA
from swiftbolt_assets.market.listed_splits import Doubt, ListedState
from swiftbolt_assets.market.splits import Split, fold, fold_digits
from swiftbolt_assets.simulator.listings import Split as PlayedSplit

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

TODAY = date(2026, 11, 20)
#: A Tuesday; the sessions around it are 26 quarter hours each.
EXECUTED = date(2026, 11, 10)
FIRST, LAST = date(2026, 11, 2), date(2026, 11, 19)
TEN_FOR_ONE = PlayedSplit(EXECUTED, 1, 10)

_CHART = (
    "select ts, open, high, low, close, volume"
    " from get_chart_data_v2(%s, 'm15', '2026-11-01', '2026-11-20', {})"
)


def chart(office: Any, symbol: UUID, *, adjusted: str = "true") -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = office.rows(_CHART.format(adjusted), symbol)
    return rows


def steps(rows: list[tuple[Any, ...]]) -> list[float]:
    """Return each open as a share of the close before."""
    return [after[1] / before[4] for before, after in pairwise(rows)]


def versions(office: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = office.rows(
        "select xmin::text, ctid, * from ohlc_bars_v2 order by 2"
    )
    return rows


def test_a_split_found_later_folds_the_chart_and_touches_no_stored_row(
    office: Callable[..., Any],
) -> None:
    """Failure mode 6: raw and adjusted prices stood side by side."""
    one = office(MSFT=(TEN_FOR_ONE,))
    symbol = one.fill("MSFT", FIRST, LAST)
    raw, stored, asked = chart(one, symbol), versions(one), one.requests()
    assert min(steps(raw)) < 0.2  # nine tenths of the price are gone
    assert one.look_up() == []
    folded = chart(one, symbol)
    assert all(0.8 < step < 1.25 for step in steps(folded))
    assert [row[0] for row in folded] == [row[0] for row in raw]
    assert len({row[0] for row in folded}) == len(folded) == 14 * 26
    edge = f"{EXECUTED}"
    for before, after in zip(raw, folded, strict=True):
        factor = 0.1 if before[0] < edge else 1.0
        # A raw price of four decimals and a tenth: five, and the exact one.
        assert after[1:5] == tuple(round(price * factor, 5) for price in before[1:5])
        assert after[5] == round(before[5] / factor, 6)
    # Nothing stored has changed, no bar was asked for again; whoever wants them has them raw.
    assert versions(one) == stored
    assert one.requests()["bars"] == asked["bars"]
    assert chart(one, symbol, adjusted="false") == raw
    assert chart(one, symbol, adjusted="null") == folded


def test_a_chart_asked_with_four_arguments_is_folded(office: Callable[..., Any]) -> None:
    one = office(MSFT=(TEN_FOR_ONE,))
    symbol = one.fill("MSFT", FIRST, LAST)
    one.look_up()
    four = one.rows(
        "select ts, open, high, low, close, volume"
        " from get_chart_data_v2(%s, 'm15', '2026-11-01', '2026-11-20')",
        symbol,
    )
    assert four == chart(one, symbol)


def test_the_chart_folds_as_the_domain_does(office: Callable[..., Any]) -> None:
    one = office(MSFT=(TEN_FOR_ONE, PlayedSplit(date(2026, 11, 17), 3, 2)))
    symbol = one.fill("MSFT", FIRST, LAST)
    one.look_up()
    known = one.book.of(symbol)
    assert known == [Split(EXECUTED, 1.0, 10.0), Split(date(2026, 11, 17), 3.0, 2.0)]
    bars = pl.DataFrame(
        one.rows(
            f"select {', '.join(BAR_SCHEMA)} from ohlc_bars_v2 where timeframe = 'm15' order by ts"
        ),
        schema=BAR_SCHEMA,
        orient="row",
    )
    folded = fold(bars, known, today=TODAY)
    assert [row[1:] for row in chart(one, symbol)] == folded.select(
        "open", "high", "low", "close", "volume"
    ).rows()


def test_two_providers_on_two_sides_of_a_split_day_fold_to_one_basis(
    office: Callable[..., Any],
) -> None:
    one = office(MSFT=(PlayedSplit(TODAY, 1, 10),))
    symbol = one.fill("MSFT", FIRST, LAST)
    one.look_up()
    # Today's bars are as traded after the split, by the other provider.
    one.rows(
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, is_intraday, open, high,"
        " low, close, volume) select symbol_id, timeframe, '2026-11-20T14:30Z', 'tradier', true,"
        " close / 10, close / 10, close / 10, close / 10, 5 from ohlc_bars_v2"
        " where timeframe = 'm15' order by ts desc limit 1"
    )
    rows = one.rows(
        "select ts, open, high, low, close, provider"
        " from get_chart_data_v2(%s, 'm15', '2026-11-01', '2026-11-21')",
        symbol,
    )
    assert [row[5] for row in rows[-2:]] == ["polygon", "tradier"]
    assert all(0.8 < step < 1.25 for step in steps(rows))


def test_one_request_a_day_serves_all_symbols_and_one_each_new_one(
    office: Callable[..., Any],
) -> None:
    one = office()
    # Nothing has bars yet: only the day's own request is due.
    assert [asked.symbol for asked in one.book.due(TODAY)] == [None]
    assert one.look_up() == []
    assert one.requests() == {"bars": 0, "splits": 1}
    for ticker in ("MSFT", "SPLT"):
        one.fill(ticker, LAST, LAST)
    assert [asked.symbol for asked in one.book.due(TODAY)] == ["MSFT", "SPLT"]
    assert one.look_up() == []
    assert one.book.of(one.symbol("SPLT")) == [Split(date(2025, 9, 8), 1.0, 10.0)]
    assert one.look_up() == []
    assert one.requests()["splits"] == 3
    one.today = TODAY + timedelta(days=1)
    assert one.look_up() == []
    assert one.look_up() == []
    assert one.requests()["splits"] == 4


def test_bars_go_first_but_for_a_day_at_most(office: Callable[..., Any]) -> None:
    one = office()
    one.fill("MSFT", LAST, LAST)
    one.rows("insert into job_runs (symbol, timeframe, job_type) values ('MSFT', 'm15', 'x')")
    assert one.book.due(TODAY) == []
    one.rows("update split_lookups set created_at = created_at - interval '25 hours'")
    assert [asked.symbol for asked in one.book.due(TODAY)] == [None]
    one.rows("update session_coverage set checked_at = checked_at - interval '25 hours'")
    assert [asked.symbol for asked in one.book.due(TODAY)] == [None, "MSFT"]


def test_rows_change_only_when_they_differ(office: Callable[..., Any]) -> None:
    one = office(MSFT=(TEN_FOR_ONE,), NVDA=(PlayedSplit(date(2026, 11, 25), 1, 3),))
    ids = [one.symbol("MSFT"), one.symbol("NVDA")]
    one.look_up()
    before = one.rows("select xmin::text, * from splits order by symbol_id")
    one.today = TODAY + timedelta(days=1)
    one.look_up()
    assert one.rows("select xmin::text, * from splits order by symbol_id") == before
    one.played["NVDA"] = (PlayedSplit(date(2026, 11, 25), 1, 4),)
    one.today = TODAY + timedelta(days=2)
    one.look_up()
    assert one.book.of(ids[1]) == [Split(date(2026, 11, 25), 1.0, 4.0)]
    assert "1 new, 1 withdrawn" in one.told[-1]


def test_a_split_is_withdrawn_only_when_the_same_window_answers_without_it(
    office: Callable[..., Any],
) -> None:
    one = office(MSFT=(TEN_FOR_ONE,), NVDA=(PlayedSplit(date(2026, 11, 25), 1, 3),))
    msft, nvda = one.symbol("MSFT"), one.symbol("NVDA")
    one.look_up()
    # The next day's request reaches back a week: the split of the 10th lies before it.
    del one.played["MSFT"]
    one.today = TODAY + timedelta(days=1)
    one.look_up()
    assert one.book.of(msft) == [Split(EXECUTED, 1.0, 10.0)]
    # An answer without any split looks just like a fault.
    announced = one.played.pop("NVDA")
    one.today += timedelta(days=1)
    one.look_up()
    assert one.book.of(nvda) == [Split(announced[0].day, 1.0, 3.0)]
    one.played["AAPL"] = (PlayedSplit(date(2026, 11, 24), 1, 2),)
    one.today += timedelta(days=1)
    one.look_up()
    assert one.book.of(nvda) == []
    assert one.book.of(msft) == [Split(EXECUTED, 1.0, 10.0)]


def test_a_failed_look_up_is_told_and_retried_later_and_bars_do_not_suffer(
    office: Callable[..., Any],
) -> None:
    one = office(MSFT=(TEN_FOR_ONE,))
    symbol = one.fill("MSFT", FIRST, LAST)
    one.spoil(kinds=["500"])
    told = one.look_up()
    assert len(told) == 2
    assert all("HTTP 500" in line for line in told)
    # One request, not one a symbol and not one a retry.
    assert one.requests()["splits"] == 1
    assert one.look_up() == []
    assert one.requests()["splits"] == 1
    assert one.rows(
        "select symbol, failures, retry_at > clock_timestamp() + interval '9 minutes', error"
        " like '%%HTTP 500%%' from split_lookups order by 1"
    ) == [("*", 1, True, True), ("MSFT", 1, True, True)]
    assert one.rows("select count(*) from provider_health") == [(0,)]
    one.spoil()
    one.rows("update split_lookups set retry_at = clock_timestamp()")
    assert one.look_up() == []
    assert one.book.of(symbol) == [Split(EXECUTED, 1.0, 10.0)]
    assert one.rows("select count(*) from split_lookups where error is null") == [(2,)]


def test_a_wait_between_failures_doubles_up_to_six_hours(office: Callable[..., Any]) -> None:
    one = office()
    (asked,) = one.book.due(TODAY)
    waits = []
    for _ in range(8):
        one.book.failed(asked, UnavailableError("gone"))
        ((wait,),) = one.rows(
            "select round(extract(epoch from retry_at - clock_timestamp()) / 60)::int"
            " from split_lookups"
        )
        waits.append(wait)
    assert waits == [10, 20, 40, 80, 160, 320, 360, 360]


def test_prices_and_splits_that_do_not_fit_are_found_in_what_is_stored(
    office: Callable[..., Any],
) -> None:
    one = office(MSFT=(TEN_FOR_ONE,))
    symbol = one.fill("MSFT", FIRST, LAST)
    (jump,) = one.book.review(symbol, FIRST, LAST).findings
    assert (jump.day, jump.doubt) == (EXECUTED, Doubt.UNEXPLAINED)
    # The night before the first day asked for belongs to it; others do not.
    assert one.book.review(symbol, EXECUTED, EXECUTED).nights == 1
    assert len(one.book.review(symbol, EXECUTED, EXECUTED).findings) == 1
    assert one.book.review(symbol, FIRST, EXECUTED - timedelta(days=1)).findings == []
    one.look_up()
    assert one.book.review(symbol, FIRST, LAST).findings == []


def states(office: Any, symbol: UUID) -> list[tuple[date, str, date | None]]:
    return [(one.listed.day, str(one.state), one.effective) for one in office.book.listed(symbol)]


def test_a_listing_beside_the_day_folds_where_the_price_shows_it(
    office: Callable[..., Any],
) -> None:
    one = office(MSFT=(TEN_FOR_ONE,), NVDA=(PlayedSplit(date(2026, 11, 16), 9, 2),))
    one.listing_errors |= {"MSFT": ("twice",), "NVDA": ("weekend",)}
    msft, nvda = (one.fill(ticker, FIRST, LAST) for ticker in ("MSFT", "NVDA"))
    assert one.look_up() == []
    assert states(one, msft) == [
        (date(2026, 11, 9), "repeated", None),
        (EXECUTED, "shown", EXECUTED),
    ]
    assert states(one, nvda) == [(date(2026, 11, 14), "moved", date(2026, 11, 16))]
    for symbol in (msft, nvda):
        assert all(0.8 < step < 1.25 for step in steps(chart(one, symbol)))
        assert one.book.review(symbol, FIRST, LAST).findings == []
    assert one.book.doubted() == []


def test_bars_that_come_later_decide_about_a_split_that_was_listed_first(
    office: Callable[..., Any],
) -> None:
    one = office(MSFT=(TEN_FOR_ONE,), NVDA=(TEN_FOR_ONE,))
    one.listing_errors |= {"MSFT": ("late",), "NVDA": ("never", "missing")}
    msft, nvda = one.symbol("MSFT"), one.symbol("NVDA")
    one.look_up()
    late = date(2026, 11, 11)
    assert states(one, msft) == [(late, "listed", late)]
    # Before the day: nothing tells yet.
    one.fill("MSFT", FIRST, date(2026, 11, 6))
    assert states(one, msft) == [(late, "listed", late)]
    one.fill("MSFT", FIRST, LAST)
    assert states(one, msft) == [(late, "moved", EXECUTED)]
    assert all(0.8 < step < 1.25 for step in steps(chart(one, msft)))
    # What never happened is not folded once prices are there.
    (never,) = one.book.listed(nvda)
    assert never.state is ListedState.LISTED
    one.fill("NVDA", FIRST, LAST)
    assert states(one, nvda) == [(never.listed.day, "doubtful", None)]
    assert one.book.doubted() == ["NVDA"]


def test_a_doubt_is_asked_again_with_growing_pauses_of_the_markets_clock(
    office: Callable[..., Any],
) -> None:
    one = office()
    one.listing_errors |= {"MSFT": ("never",)}
    one.fill("MSFT", FIRST, LAST)
    one.look_up()
    pauses = []
    for _ in range(8):
        ((pause,),) = one.rows(
            "select round(extract(epoch from ask_again_at - market_now()) / 3600)::int"
            " from split_lookups where symbol = 'MSFT'"
        )
        pauses.append(pause)
        assert one.book.due(TODAY) == []
        one.rows("update split_lookups set ask_again_at = market_now() where symbol = 'MSFT'")
        assert [asked.symbol for asked in one.book.due(TODAY)] == ["MSFT"]
        assert one.look_up() == []
    assert pauses == [6, 24, 72, 168, 336, 720, 720, 720]
    # The list is right now: the doubt ends, and nobody asks any more.
    one.listing_errors.clear()
    one.played["AAPL"] = ()
    one.rows("delete from splits")
    assert one.book.review_all("MSFT").findings == []
    assert one.book.doubted() == []


def test_ids_and_factors_that_change_at_each_pull_make_no_other_split(
    office: Callable[..., Any],
) -> None:
    one = office(MSFT=(PlayedSplit(LAST, 2, 5),))
    one.listing_errors |= {"MSFT": ("new_ids",)}
    symbol = one.fill("MSFT", FIRST, LAST)
    one.look_up()
    before = one.rows("select provider_id, state from splits")
    for days in (1, 2, 3):
        one.today = TODAY + timedelta(days=days)
        one.look_up()
        assert "0 new, 0 withdrawn" in one.told[-1]
    after = one.rows("select provider_id, state from splits")
    assert before[0][0] != after[0][0]
    assert states(one, symbol) == [(LAST, "shown", LAST)]


@pytest.mark.parametrize(
    "shares", [[(1, 3)], [(7, 3)], [(1, 10), (3, 2)], [(180, 1), (20, 21)], [(2, 1), (1, 2)]]
)
def test_sql_and_the_domain_fold_to_the_same_numbers_in_every_timeframe(
    office: Callable[..., Any], shares: list[tuple[int, int]]
) -> None:
    days = (EXECUTED, date(2026, 11, 17))
    played = [PlayedSplit(day, *pair) for day, pair in zip(days, shares, strict=False)]
    one = office(MSFT=tuple(played))
    symbol = one.fill("MSFT", FIRST, LAST)
    one.look_up()
    for timeframe in ("m15", "h1", "h4"):
        bars = pl.DataFrame(
            one.rows(
                f"select {', '.join(BAR_SCHEMA)} from ohlc_bars_v2"
                f" where timeframe = '{timeframe}' order by ts"
            ),
            schema=BAR_SCHEMA,
            orient="row",
        )
        wanted = fold(bars, one.book.of(symbol), today=TODAY)
        columns = ("open", "high", "low", "close", "volume")
        assert [
            row[1:] for row in one.rows(_CHART.format("true").replace("m15", timeframe), symbol)
        ] == wanted.select(columns).rows()


def test_sql_counts_the_digits_of_a_ratio_as_the_domain_does(office: Callable[..., Any]) -> None:
    one = office()
    pairs = [(float(a), float(b)) for a in range(1, 60) for b in (*range(1, 60), 128, 1000, 65536)]
    pairs += [(1000.0, 1017.5), (1.0, 1.05), (2.5, 1.0), (1.0, 1_234_567.0), (720.0, 7.0)]
    found = one.rows(
        "select fold_digits(up, down) from unnest(%s::float8[], %s::float8[])"
        " with ordinality p (up, down, n) order by n",
        [up for up, _ in pairs],
        [down for _, down in pairs],
    )
    assert [digits for (digits,) in found] == [fold_digits(*pair) for pair in pairs]


def test_splits_of_an_older_schema_are_judged_with_the_next_answer(
    office: Callable[..., Any],
) -> None:
    one = office(MSFT=(TEN_FOR_ONE,))
    msft, nvda = (one.fill(ticker, FIRST, LAST) for ticker in ("MSFT", "NVDA"))
    for symbol, day in ((msft, date(2026, 11, 12)), (nvda, EXECUTED)):
        one.rows(
            "insert into splits (symbol_id, execution_date, split_from, split_to, provider)"
            " values (%s, %s, 1, 10, 'yahoo')",
            symbol,
            day,
        )
    one.played["AAPL"] = ()
    del one.played["MSFT"]
    assert one.look_up() == []
    assert states(one, msft) == [(date(2026, 11, 12), "moved", EXECUTED)]
    assert states(one, nvda) == [(EXECUTED, "doubtful", None)]
