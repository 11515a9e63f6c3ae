"""Who is found to trade no more, what is not asked then, and what ends it."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from resources.bars.delisted import DelistedBook, delisted, end_traded
from resources.bars.listed_tickers import TickerList
from resources.bars.live import LiveBook
from resources.bars.splits import SplitBook
from resources.providers.lists import TickersPage


def ended(desk: Any) -> list[str]:
    with desk.database.transaction() as connection:
        return [one.symbol for one in delisted(connection)]


def days_later(desk: Any, days: int) -> None:
    """Let days pass in which the living have their nights."""
    known = desk.past[-1]
    desk.now += timedelta(days=days)
    for symbol in ("AAPL", "MIDL", "MSFT", "NVDA"):
        desk.ledger(symbol, [day for day in desk.past if day > known], bars=True)


@pytest.fixture
def gone(desk: Any) -> str:
    """Return a symbol that trades no more."""
    desk.silent("GONE", 25)
    assert desk.look() == ["GONE"]
    return "GONE"


def test_who_is_silent_for_twenty_sessions_is_found_without_a_request(desk: Any) -> None:
    desk.silent("GONE", 20)
    desk.silent("NEARLY", 19)
    desk.silent("HALTED", 5)
    desk.ledger("THIN", desk.past, bars=False)
    desk.ledger("THIN", [desk.past[-19], desk.past[-60]], bars=True)
    desk.ledger("NEVER", desk.past, bars=False)
    assert desk.look() == ["GONE", "NEVER"]
    assert desk.sql("select count(*) from provider_requests") == [(0,)]
    with desk.database.transaction() as connection:
        gone, never = delisted(connection)
    assert (gone.since, gone.last_bar_on) == (desk.past[-20], desk.past[-21])
    assert gone.evidence == (
        f"the last bar is of {desk.past[-21]}; none in 20 sessions in which others traded"
    )
    assert (never.since, never.last_bar_on) == (desk.past[0], None)


def test_while_the_provider_is_away_nobody_is_found(desk: Any) -> None:
    desk.silent("GONE", 25)
    for symbol in ("AAPL", "MIDL", "MSFT", "NVDA"):
        desk.ledger(symbol, desk.past[-25:], bars=False)
    assert desk.look() == []


def test_what_one_answer_said_waits_for_another_a_day_later(desk: Any) -> None:
    """A provider's bad hour loses all of a symbol as well."""
    since = desk.now - timedelta(hours=2)
    doubt = {"reason": "unconfirmed", "doubted_at": since}
    desk.silent("GONE", 25, **doubt, ask_again_at=since + timedelta(hours=4))
    assert desk.look() == []
    desk.silent("GONE", 25, ask_again_at=since + timedelta(days=1))
    assert desk.look() == []
    desk.silent("GONE", 25, ask_again_at=since + timedelta(days=5))
    assert desk.look() == ["GONE"]


def test_old_silence_of_a_symbol_that_is_asked_for_no_more_tells_nothing(desk: Any) -> None:
    desk.ledger("GONE", desk.past[:-6], bars=False)
    assert desk.look() == []


def test_bars_of_today_or_of_another_provider_speak_against_it(desk: Any) -> None:
    desk.silent("TODAY", 25)
    desk.answer("TODAY", [desk.today], bars=True, provider="tradier")
    desk.silent("SEEN", 25, witness='{"2026-11-19T15:00:00+00:00": 300}')
    assert desk.look() == []


def test_its_silence_has_a_reason_and_is_no_longer_in_doubt(desk: Any) -> None:
    desk.silent("GONE", 25, reason="unconfirmed", unconfirmed=1)
    assert desk.look() == ["GONE"]
    reasons = desk.reasons("GONE")
    assert {reasons[day] for day in desk.past[-25:]} == {"delisted"}
    assert {reasons[day] for day in desk.past[:-25]} == {None}
    assert desk.sql("select sum(unconfirmed) from session_coverage") == [(0,)]


def test_a_new_session_is_settled_without_being_asked_for(desk: Any, gone: str) -> None:
    days_later(desk, 5)
    assert desk.look() == []
    assert desk.plan() == {}
    assert desk.gaps(gone) == []
    newest = "select state, reason, answers from session_coverage where symbol_id = %s and day = %s"
    assert desk.sql(newest, desk.id(gone), desk.past[-1]) == [("final", "delisted", 0)]


def test_once_a_month_one_slice_asks_for_all_since_the_last_one(desk: Any, gone: str) -> None:
    first = desk.today
    asked = []
    for _ in range(65):
        days_later(desk, 1)
        desk.look()
        for symbol, slices in desk.plan().items():
            assert symbol == gone
            ((since, last),) = slices
            asked.append((desk.today, since, last))
            spanned = [day for day in desk.past if since <= day <= last]
            desk.answer(gone, spanned, bars=False)
            assert desk.plan() == {}
    assert [day - first for day, _, _ in asked] == [timedelta(days=30), timedelta(days=60)]
    assert asked[0][1] == first
    # From where the one before ended.
    assert asked[1][1] > asked[0][2]
    assert desk.gaps(gone) == []


def test_what_was_due_together_is_asked_a_thirtieth_a_day(desk: Any) -> None:
    """Also after the platform has been off for months."""
    many = [f"G{number:02d}" for number in range(61)]
    for symbol in many:
        desk.silent(symbol, 20)
    assert desk.look() == many
    days_later(desk, 100)
    asked: list[str] = []
    for _ in range(3):
        desk.look()
        slices = desk.plan()
        # A day's are three, though it is looked for every hour; what waits counts.
        assert len(slices) == 3
        desk.now += timedelta(minutes=10)
        desk.look()
        assert len(desk.plan()) == 3
        for symbol, ((since, last),) in slices.items():
            desk.answer(symbol, [day for day in desk.past if since <= day <= last], bars=False)
        desk.sql("delete from job_runs")
        asked += slices
        days_later(desk, 1)
    assert len(set(asked)) == 9


@pytest.mark.parametrize("provider", ["polygon", "tradier"])
def test_a_bar_ends_it_at_once_and_what_was_skipped_is_asked_for(
    desk: Any, gone: str, provider: str
) -> None:
    days_later(desk, 7)
    desk.look()
    assert desk.plan() == {}
    desk.answer(gone, [desk.today if provider == "tradier" else desk.past[-1]], bars=True,
                provider=provider)  # fmt: skip
    assert ended(desk) == []
    slices = desk.plan()[gone]
    until = desk.past[-1] if provider == "tradier" else desk.past[-2]
    silent = [day for day in desk.past if day not in desk.reasons(gone)]
    assert (slices[-1][0], slices[0][1]) == (silent[0], until)
    assert len(silent) >= 25


def test_an_older_bar_does_not_end_it(desk: Any, gone: str) -> None:
    desk.answer(gone, [desk.past[3]], bars=True)
    assert ended(desk) == [gone]


def test_a_trade_that_another_provider_tells_of_ends_it_and_an_older_one_does_not(
    desk: Any, gone: str
) -> None:
    with desk.database.transaction() as connection:
        assert end_traded(connection, {gone: desk.past[-30], "AAPL": desk.today}) == 0
    assert ended(desk) == [gone]
    with desk.database.transaction() as connection:
        assert end_traded(connection, {gone: desk.today}) == 1
    assert ended(desk) == []


def test_who_asks_by_hand_is_answered(desk: Any, gone: str) -> None:
    days_later(desk, 5)
    DelistedBook(desk.database).ask([gone, "AAPL"], desk.past[-10])
    # What was never asked for, and the newest session in any case.
    unasked = [day for day in desk.past if day > desk.past[-10] and day in desk.past[-3:]]
    assert desk.plan() == {gone: [(unasked[0], unasked[-1])]}
    desk.answer(gone, unasked, bars=False)
    DelistedBook(desk.database).ask([gone], desk.past[-10])
    desk.sql("delete from job_runs")
    assert desk.plan() == {gone: [(desk.past[-1], desk.past[-1])]}


def test_its_other_doubts_rest_and_what_is_missing_does_not(desk: Any, gone: str) -> None:
    cut = desk.past[:2]
    desk.ledger(gone, cut, bars=False, reason="plan_cut", ask_again_at=desk.now)
    desk.sql(
        "delete from session_coverage where symbol_id = %s and day = %s",
        desk.id(gone),
        desk.past[8],
    )
    assert desk.plan() == {gone: [(desk.past[8], desk.past[8])]}


def test_todays_bars_and_splits_are_not_asked_for(desk: Any, gone: str) -> None:
    desk.sql(
        "insert into split_lookups (symbol, answered_on, answered_at, ask_again_at)"
        " select ticker, %s, now(), market_now() - interval '1 day' from symbols"
        " where ticker in ('AAPL', %s)",
        desk.today,
        gone,
    )
    book = LiveBook(desk.database)
    living = ["AAPL", "MIDL", "MSFT", "NVDA"]
    assert [one.symbol for one in book.watched()] == living
    assert book.watched_count() == len(living)
    # By name it is.
    assert [one.symbol for one in book.of_symbols([gone])] == [gone]
    due = [one.symbol for one in SplitBook(desk.database).due(desk.today)]
    assert "AAPL" in due
    assert gone not in due


def test_the_list_of_tickers_tells_after_five_sessions(desk: Any) -> None:
    desk.silent("GONE", 5)
    desk.silent("HALTED", 5)
    everybody = ["AAPL", "GONE", "HALTED", "MIDL", "MSFT", "NVDA"]
    book = TickerList(desk.database)
    last_month = desk.today - timedelta(days=30)
    book.store(None, TickersPage(dict.fromkeys(everybody, ""), 0, None, None), last_month)
    assert desk.look() == []
    everybody.remove("GONE")
    book.store(None, TickersPage(dict.fromkeys(everybody, ""), 0, None, None), desk.today)
    assert desk.look() == ["GONE"]
    # Who is back on a list is asked about on that day.
    days_later(desk, 1)
    assert desk.plan() == {"HALTED": [(desk.past[-1], desk.past[-1])]}
    everybody.append("GONE")
    book.store(None, TickersPage(dict.fromkeys(everybody, ""), 0, None, None), desk.today)
    desk.look()
    assert "GONE" in desk.plan()
