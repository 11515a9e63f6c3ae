"""An outage is over for us soon after its end, and one symbol's trouble is nobody else's."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from swiftbolt_assets.errors import LeftAloneError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

DOWN = (503, {"status": "ERROR", "error": "try later"}, {})
NO_KEY = (401, {"status": "ERROR", "error": "Unknown API Key"}, {})
NOT_YOURS = (403, {"status": "NOT_AUTHORIZED", "message": "Not for you."}, {})

EMPTY = (200, {"status": "OK", "adjusted": False, "queryCount": 0, "resultsCount": 0}, {})


def age(desk: Any, seconds: float) -> None:
    """Let an outage have begun so many seconds ago, and its pause be over."""
    desk.sql(
        f"update provider_health set failing_since = clock_timestamp() - interval '{seconds} s',"
        " cooling_until = clock_timestamp()"
    )


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("reply", [DOWN, NO_KEY])
def test_what_waited_goes_on_by_itself_soon_after_the_end(
    desk: Any, stand_in: Any, reply: tuple[Any, ...], count: int
) -> None:
    symbols = [f"S{n}" for n in range(count)]
    began = time.monotonic()
    stand_in.script = lambda *_: reply if time.monotonic() < began + 6 else None
    desk.track(*symbols)
    desk.rounds(lambda: time.monotonic() > began + 6)
    assert {row[1] for row in desk.states()} <= {"queued", "success"}
    # Three failures, and a probe each five seconds; a single symbol waits half a minute by itself.
    assert sum(one.status != 200 for one in stand_in.asked) <= 6
    desk.rounds(lambda: desk.is_done(*symbols), 60 if count < 3 else 20)


def test_empty_answers_of_a_bad_hour_cost_as_little_as_an_outage(desk: Any, stand_in: Any) -> None:
    symbols = [f"S{n}" for n in range(7)]
    desk.track(*symbols)
    desk.rounds(lambda: desk.is_done(*symbols))
    desk.move(desk.offset + timedelta(days=1))
    desk.storage.work.plan()
    asked, began = len(stand_in.asked), time.monotonic()
    stand_in.script = lambda *_: EMPTY if time.monotonic() < began + 6 else None
    desk.rounds(lambda: time.monotonic() > began + 6)
    # Three symbols, each once more, and a probe each five seconds.
    assert len(stand_in.asked) - asked <= 8
    assert desk.sql("select count(*) from session_coverage where bars = 0") == [(0,)]
    desk.rounds(lambda: desk.is_done(*symbols), 20)


@pytest.mark.parametrize(("seconds", "pause"), [(0, 5), (20, 5), (60, 15), (400, 200), (9e5, 600)])
def test_a_pause_is_a_quarter_of_a_short_outage_and_half_of_a_long_one(
    desk: Any, seconds: float, pause: float
) -> None:
    for symbol in ("AAPL", "MSFT", "NVDA"):
        desk.health.failed("polygon", symbol, UnavailableError("polygon: HTTP 503"))
    age(desk, seconds)
    desk.health.failed("polygon", "AMD", UnavailableError("polygon: HTTP 503"))
    assert desk.health.cooling("polygon").seconds == pytest.approx(pause, abs=0.5)


def test_of_all_who_wait_for_the_end_of_a_pause_one_asks(desk: Any) -> None:
    for symbol in ("AAPL", "MSFT", "NVDA"):
        desk.health.failed("polygon", symbol, UnavailableError("polygon: HTTP 503"))

    def admitted(symbol: str) -> bool:
        try:
            return bool(desk.health.admit("polygon", symbol, at_once=False).is_probe)
        except LeftAloneError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(admitted, [f"S{n}" for n in range(8)]))
        age(desk, 60)
        assert sum(pool.map(admitted, [f"S{n}" for n in range(8)])) == 1
    desk.sql("update provider_health set probe_until = clock_timestamp()")
    assert admitted("LAST"), "a killed prober kept all others waiting"


def test_probes_go_round_so_that_one_bad_symbol_does_not_hold_all(desk: Any, stand_in: Any) -> None:
    bad = {"S0", "S1", "S2"}
    stand_in.script = lambda symbol, *_: DOWN if symbol in bad else None
    desk.track(*sorted(bad), "GOOD")
    desk.round()
    assert desk.is_done("GOOD") or desk.health.rests("polygon")
    desk.rounds(lambda: desk.is_done("GOOD"), 20)
    asked = len(stand_in.asked)
    for _ in range(20):
        desk.round()
    # What always fails waits by itself, longer each time.
    assert len(stand_in.asked) - asked <= 9


def test_two_symbols_that_always_fail_stop_nobody(desk: Any, stand_in: Any) -> None:
    stand_in.script = lambda symbol, *_: DOWN if symbol in {"BAD", "WORSE"} else None
    desk.track("BAD", "WORSE")
    for _ in range(4):
        desk.sql("update job_runs set next_attempt_at = null")
        desk.round()
    assert desk.health.cooling("polygon").symbols == ("BAD", "WORSE")
    good = [f"S{n}" for n in range(3)]
    desk.track(*good)
    desk.round()
    assert desk.is_done(*good)
    assert {row[1] for row in desk.states() if row[0] in {"BAD", "WORSE"}} == {"queued"}


def test_a_passing_failure_never_fails_a_slice(desk: Any, stand_in: Any) -> None:
    stand_in.script = lambda symbol, *_: DOWN if symbol == "BAD" else None
    desk.track("BAD")
    for n in range(12):
        desk.sql("update job_runs set next_attempt_at = null")
        desk.track(f"S{n}")
        desk.round()
    ((status, attempt, wait),) = desk.sql(
        "select status, attempt, extract(epoch from next_attempt_at - clock_timestamp())::int"
        " from job_runs where symbol = 'BAD'"
    )
    assert (status, attempt) == ("queued", 13)
    assert 14_000 < wait <= 14_400
    stand_in.script = lambda *_: None
    desk.sql("update job_runs set next_attempt_at = null")
    desk.rounds(lambda: desk.is_done("BAD"))


def test_one_symbols_403_neither_fails_nor_delays_another(desk: Any, stand_in: Any) -> None:
    stand_in.script = lambda symbol, *_: NOT_YOURS if symbol == "AAPL" else None
    desk.track("AAPL", "MSFT", "NVDA")
    desk.round()
    assert desk.is_done("MSFT", "NVDA")
    assert desk.states("symbol, status, error_code")[0] == ("AAPL", "queued", "PERMISSION_DENIED")


def test_a_wrong_key_costs_one_request_and_is_mended_by_the_right_one(
    desk: Any, stand_in: Any
) -> None:
    stand_in.script = lambda *_: NO_KEY
    symbols = [f"S{n}" for n in range(5)]
    desk.track(*symbols)
    for _ in range(5):
        desk.round()
    assert len(stand_in.asked) == 1
    assert set(desk.states("status, attempt")) == {("queued", 1)}
    stand_in.script = lambda *_: None
    desk.rounds(lambda: desk.is_done(*symbols), 20)


def test_a_killed_runs_slices_are_queued_for_ever(desk: Any) -> None:
    desk.track("AAPL")
    for _ in range(9):
        desk.sql("update job_runs set next_attempt_at = null")
        claim = desk.storage.work.claim(least_priority=0)
        desk.storage.work.begin("AAPL", claim.slices[0].first, claim.slices[0].last)
        desk.storage.work.release([claim.claim_id], "its process is gone")
    assert desk.states("status, attempt, next_attempt_at is not null") == [("queued", 10, True)]


def told(desk: Any) -> list[str]:
    from resources.providers.trouble import present_troubles

    with desk.database.transaction() as connection:
        return [trouble.text for trouble in present_troubles(connection)]


def test_who_gets_nothing_while_others_do_is_told(desk: Any, stand_in: Any) -> None:
    stand_in.script = lambda symbol, *_: NOT_YOURS if symbol == "TYPO" else None
    desk.track("TYPO")
    desk.round()
    assert told(desk) == [], "nobody else was asked"
    desk.track("AAPL")
    desk.round()
    (line,) = told(desk)
    assert line.startswith("TYPO gets nothing while others do: polygon: the key may not see this")
    stand_in.script = lambda *_: None
    desk.let_minutes_pass()
    desk.rounds(lambda: desk.is_done("TYPO"))
    assert told(desk) == []


def test_a_share_of_failures_above_the_usual_is_told(
    new_desk: Callable[..., Any], stand_in: Any
) -> None:
    desk = new_desk(attempts=11)
    stand_in.script = lambda *_: DOWN
    desk.track("AAPL")
    desk.round()
    assert told(desk)[0].startswith("polygon: 12 of 12 requests of the last minutes failed")
