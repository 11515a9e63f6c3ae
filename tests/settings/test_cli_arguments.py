"""What people write on the command line: values, or one line that names the field."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftbolt_assets.cli.arguments import (
    Window,
    parse_port_offset,
    parse_priority,
    parse_symbols,
    parse_window,
)
from swiftbolt_assets.errors import UsageError

TODAY = date(2026, 11, 20)
FIRST_DATE = date(2024, 1, 2)


def window(
    days: str | None = None, start: str | None = None, end: str | None = None, today: date = TODAY
) -> Window:
    return parse_window(days, start, end, today=today, first_date=FIRST_DATE)


@pytest.mark.parametrize(
    "days",
    ["0", "-1", "1e9", "1.5", "", " ", "1000000000", "9" * 5000, "ten", "+1", "\u0661", "0x10"],
)
def test_impossible_numbers_of_days_are_refused(days: str) -> None:
    with pytest.raises(UsageError) as caught:
        window(days)
    assert str(caught.value).startswith("days: ")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 150


def test_days_reach_back_from_today_both_included() -> None:
    found = window("730")
    assert (found.first, found.last) == (date(2024, 11, 20), TODAY)
    assert len(found.sessions) == 502
    assert found.sessions[-1].day == TODAY
    assert [s.day.day for s in window("1").sessions] == [19, 20]


def test_without_any_option_it_is_730_days_or_what_lies_after_the_first_partition() -> None:
    assert window() == window("730")
    early = window(today=date(2024, 6, 3))
    assert (early.first, early.last) == (FIRST_DATE, date(2024, 6, 3))


def test_days_that_reach_before_the_first_partition_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^days: .*before the first partition 2024-01-02"):
        window("1100")


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2025-07-03", "2025-07-03", date(2025, 7, 3), date(2025, 7, 3)),
        (" 2025-07-03 ", None, date(2025, 7, 3), TODAY),
        (None, "2024-02-01", FIRST_DATE, date(2024, 2, 1)),
        ("2024-01-02", "2026-11-20", FIRST_DATE, TODAY),
    ],
)
def test_dates_bound_the_window_and_either_may_be_left_out(
    start: str | None, end: str | None, first: date, last: date
) -> None:
    found = window(None, start, end)
    assert (found.first, found.last) == (first, last)
    assert all(first <= session.day <= last for session in found.sessions)


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("2025-02-29", None, "from"),
        ("2025-13-01", None, "from"),
        ("2025-1-1", None, "from"),
        ("20250101", None, "from"),
        ("2025-W01-2", None, "from"),
        ("01/02/2025", None, "from"),
        ("", None, "from"),
        ("\uff12\uff10\uff12\uff15-01-02", None, "from"),
        ("2025-01-02\0", None, "from"),
        ("2025-01-02T00:00:00Z", None, "from"),
        ("x" * 5000, None, "from"),
        ("2025-01-02", "soon", "to"),
        ("2025-01-02", "2026-11-21", "to"),
        (None, "9999-12-31", "to"),
        ("2026-11-21", None, "from"),
        ("2025-06-02", "2025-06-01", "from"),
        ("2024-01-01", None, "from"),
        ("0001-01-01", None, "from"),
        (None, "2023-12-29", "to"),
        ("2025-01-11", "2025-01-12", "from"),
        ("2025-01-09", "2025-01-09", "from"),
    ],
)
def test_impossible_reversed_future_early_and_closed_dates_are_refused(
    start: str | None, end: str | None, field: str
) -> None:
    with pytest.raises(UsageError) as caught:
        window(None, start, end)
    assert str(caught.value).startswith(f"{field}: ")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


def test_a_weekend_says_that_the_exchange_is_closed() -> None:
    with pytest.raises(UsageError, match="closed from 2025-01-11 to 2025-01-12"):
        window(None, "2025-01-11", "2025-01-12")


def test_days_and_dates_together_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^days: .*not both"):
        window("5", "2025-01-02")


@given(
    st.one_of(st.none(), st.text(max_size=12), st.integers().map(str)),
    st.one_of(st.none(), st.text(max_size=12), st.dates().map(str)),
    st.one_of(st.none(), st.text(max_size=12), st.dates().map(str)),
)
def test_whatever_is_written_gives_a_window_or_one_line(
    days: str | None, start: str | None, end: str | None
) -> None:
    try:
        found = window(days, start, end)
    except UsageError as error:
        field = str(error).partition(":")[0]
        assert field in {"days", "from", "to"}
        assert str(error).isprintable()  # noqa: PT017
        return
    assert FIRST_DATE <= found.first <= found.last <= TODAY
    assert found.sessions


def test_symbols_are_canonical_and_none_stands_twice() -> None:
    assert parse_symbols(["msft", "BRK.B", "MSFT", "brk.b"]) == ["MSFT", "BRK.B"]


@pytest.mark.parametrize("texts", [[], [""], ["AAPL", "../x"]])
def test_no_symbol_or_a_bad_one_among_good_ones_is_refused(texts: list[str]) -> None:
    with pytest.raises(UsageError, match=r"^symbol: "):
        parse_symbols(texts)


def test_priorities_and_port_offsets_are_whole_numbers_in_range() -> None:
    assert (parse_priority(None, 300), parse_priority(" 0 ", 300)) == (300, 0)
    assert parse_port_offset("100") == 100
    for text in ("-1", "1.5", "", "high", "1000001"):
        with pytest.raises(UsageError, match=r"^priority: "):
            parse_priority(text, 300)
    for text in ("-1", "60000", "x"):
        with pytest.raises(UsageError, match=r"^port-offset: "):
            parse_port_offset(text)
