"""A refusal is the symbol's own only with evidence; everything else comes back by itself."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR = timedelta(hours=1)
NO_SYMBOL = (400, {"status": "ERROR", "error": "unknown ticker, request 17"}, {})
BAD_RANGE = (
    400,
    {"status": "ERROR", "error": "The parameter 'to' cannot be a time that occurs before 'from'"},
    {},
)
NOT_YOURS = (403, {"status": "NOT_AUTHORIZED", "message": "You are not entitled to this data."}, {})


def refusing(*symbols: str, reply: tuple[Any, ...] = NO_SYMBOL) -> Callable[..., Any]:
    return lambda symbol, _first, _last: reply if symbol in symbols else None


def later(desk: Any, hours: float) -> None:
    """Move the market clock on."""
    desk.move(desk.offset + hours * HOUR)


def waits_of(desk: Any, symbol: str) -> list[tuple[Any, ...]]:
    return desk.sql(
        "select round(extract(epoch from next_attempt_at - clock_timestamp()) / 60)::int"
        f" from job_runs where symbol = '{symbol}'"
    )


@pytest.mark.parametrize("reply", [NO_SYMBOL, NOT_YOURS])
def test_a_symbol_that_is_refused_for_hours_while_others_are_answered_is_given_up(
    desk: Any, stand_in: Any, reply: tuple[Any, ...]
) -> None:
    stand_in.script = refusing("TYPO", reply=reply)
    desk.track("AAPL", "TYPO", days=200)
    desk.round()
    assert desk.is_done("AAPL")
    assert {row[1] for row in desk.states() if row[0] == "TYPO"} == {"queued"}
    assert set(waits_of(desk, "TYPO")) == {(1,)}
    desk.let_minutes_pass()
    desk.round()
    assert set(waits_of(desk, "TYPO")) == {(15,)}
    desk.let_minutes_pass()
    desk.round()
    assert set(waits_of(desk, "TYPO")) == {(240,)}
    assert {row[1] for row in desk.states() if row[0] == "TYPO"} == {"queued"}
    later(desk, 4.1)
    desk.track("MSFT")
    desk.round()
    assert {row[1] for row in desk.states() if row[0] == "TYPO"} == {"failed"}
    assert len(stand_in.of("TYPO")) == 4
    later(desk, 100)
    desk.round()
    assert len(stand_in.of("TYPO")) == 4, "asked after the verdict"


def test_a_person_who_asks_again_ends_a_verdict(desk: Any, stand_in: Any) -> None:
    test_a_symbol_that_is_refused_for_hours_while_others_are_answered_is_given_up(
        desk, stand_in, NO_SYMBOL
    )
    stand_in.script = refusing()
    assert desk.storage.work.restart("TYPO") == 3
    desk.rounds(lambda: desk.is_done("TYPO"))
    assert desk.sql("select * from symbol_refusals") == []


def test_a_refusal_of_hours_in_which_nobody_was_answered_proves_nothing(
    desk: Any, stand_in: Any
) -> None:
    """The provider's bad hour, seen by two symbols: too few to call it one."""
    stand_in.script = refusing("AAPL", "MSFT", reply=BAD_RANGE)
    desk.track("AAPL", "MSFT")
    for hours in (0, 4.1, 24.1, 24.1, 24.1):
        later(desk, hours)
        desk.let_minutes_pass()
        desk.round()
    assert {row[1] for row in desk.states()} == {"queued"}
    assert len(stand_in.asked) <= 10
    stand_in.script = refusing()
    later(desk, 24.1)
    desk.rounds(lambda: desk.is_done("AAPL", "MSFT"))


def test_the_only_symbol_is_given_up_after_a_day(desk: Any, stand_in: Any) -> None:
    stand_in.script = refusing("TYPO")
    desk.track("TYPO")
    desk.round()
    for _ in range(2):
        desk.let_minutes_pass()
        desk.round()
    later(desk, 23)
    desk.round()
    assert len(stand_in.asked) == 3
    later(desk, 1.1)
    desk.round()
    assert {(row[1], row[3]) for row in desk.states()} == {("failed", "INVALID_SYMBOL")}
    assert len(stand_in.asked) == 4


def test_another_refusal_begins_anew(desk: Any, stand_in: Any) -> None:
    stand_in.script = refusing("TYPO")
    desk.track("AAPL", "TYPO")
    desk.round()
    desk.let_minutes_pass()
    desk.round()
    stand_in.script = refusing("TYPO", reply=BAD_RANGE)
    later(desk, 4.1)
    desk.let_minutes_pass()
    desk.track("MSFT")
    desk.round()
    assert [row[1] for row in desk.states() if row[0] == "TYPO"] == ["queued"]


@pytest.mark.parametrize("reply", [BAD_RANGE, NOT_YOURS])
def test_half_a_minute_of_refusals_leaves_no_trace(
    desk: Any, stand_in: Any, reply: tuple[Any, ...]
) -> None:
    """Fifteen slices had failed for good, and nothing asked again."""
    symbols = ["AAPL", "AMD", "MSFT", "NVDA", "TSLA"]
    stand_in.script = refusing(*symbols, reply=reply)
    desk.track(*symbols, days=100)
    for _ in range(4):
        desk.round()
    cooling = desk.health.cooling("polygon")
    assert cooling is not None
    assert cooling.is_for_all
    assert {row[1] for row in desk.states()} == {"queued"}
    assert len(stand_in.asked) <= 6
    stand_in.script = refusing()
    desk.rounds(lambda: desk.is_done(*symbols), 30)
    assert desk.sql("select * from symbol_refusals") == []


def test_a_range_that_is_refused_stops_neither_the_symbol_nor_its_new_days(
    desk: Any, stand_in: Any
) -> None:
    desk.track("AAPL", days=300)
    oldest = min(row[0] for row in desk.states("first_day"))
    stand_in.script = lambda _symbol, first, _last: BAD_RANGE if first <= oldest else None
    for _ in range(12):
        desk.let_minutes_pass()
        desk.round()
        later(desk, 5)
    (refused, *answered) = sorted(desk.states("first_day, status"))
    assert refused == (oldest, "queued")
    assert {status for _, status in answered} == {"success"}
    assert desk.sql("select * from symbol_refusals") == []
    asked = len(stand_in.asked)
    later(desk, 24 * 3)
    desk.track("AAPL", days=303)
    desk.round()
    assert [one.status for one in stand_in.asked[asked:]].count(200) == 1


def test_days_that_a_command_asked_for_in_vain_wait_in_the_queue(desk: Any, stand_in: Any) -> None:
    stand_in.script = refusing("TYPO")
    said = desk.run("TYPO", date(2026, 11, 10), date(2026, 11, 20))
    assert "unknown ticker" in said
    assert desk.states("status, error_code, first_day, last_day") == [
        ("queued", "INVALID_SYMBOL", date(2026, 11, 10), date(2026, 11, 19))
    ]
    desk.run("TYPO", date(2026, 11, 10), date(2026, 11, 20))
    assert len(desk.states()) == 1
    stand_in.script = refusing()
    desk.let_minutes_pass()
    desk.rounds(lambda: desk.is_done("TYPO"))


@pytest.mark.parametrize(
    ("one", "another", "is_same"),
    [
        ("QQQX not valid, reference 3aee151db3d0", "qqqx not valid, reference 77e0aab.", True),
        ("no series (0f8fad5b-d9cd-469f-a165)", "no series (7c9e6679-7425-40de-944b)", True),
        ("not found on 2026-11-20 at 14:31", "Not found on 2026-11-21 at 09:07", True),
        ("kQwErTyUiOpAsDfGhJkLzXcV failed", "mNbVcXzLkJhGfDsApOiUyTrE failed", True),
        ("unknown ticker", "not entitled to this ticker", False),
    ],
)  # fmt: skip
def test_a_refusal_is_known_again_whatever_reference_it_carries(
    desk: Any, one: str, another: str, *, is_same: bool
) -> None:
    ((found,),) = desk.sql(f"select refusal_words('{one}') = refusal_words('{another}')")
    assert found is is_same
