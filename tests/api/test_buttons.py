"""A pressed button is noted once a minute, answers in time, and says what is true.

The platform's side is played here by its own book of presses; a whole platform is in
tests/cli/platform/test_sync_button.py.
"""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING, Any, Self

import pytest

from resources.queue.rechecks import Recheck, RecheckBook
from swiftbolt_assets.errors import BadRequestError, KeyRefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

TODAY = date(2026, 11, 20)
WORDS = {"pending", "running", "completed", "skipped", "failed"}


class Worker:
    """Takes on presses as the platform does, in a thread; `answer` is what a run does."""

    def __init__(self, api: Any, answer: Callable[[Recheck], None]) -> None:
        self.asked: list[str] = []
        self._book, self._answer = RecheckBook(api.database), answer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _work(self) -> None:
        while not self._stop.wait(0.05):
            taken = self._book.claim(day=TODAY, is_past=False, least_priority=0)
            if taken is not None and self._book.begin(taken.claim_id, TODAY):
                self.asked.append(taken.symbol)
                self._answer(taken)


@pytest.fixture
def filled(api: Any) -> Any:
    """Return the API with a complete symbol that somebody tracks."""
    api.post("sync-user-symbols", {"symbols": ["AAPL"], "source": "watchlist"})
    api.fill("AAPL", api.days(365))
    api.trade_today("AAPL")
    api.sql("update symbol_plans set stale = true")
    api.queue.plan()
    # A platform ticks, for all that is seen.
    api.queue.beat()
    return api


@pytest.fixture
def working(filled: Any) -> Iterator[Worker]:
    """Have presses answered: a bar of three timeframes gets another price."""

    def answer(taken: Recheck) -> None:
        filled.sql(
            "update ohlc_bars_v2 set close = close - 0.5 where ts = '2026-11-20 14:30Z'"
            " and timeframe = 'm15' and symbol_id = (select id from symbols where ticker = %s)",
            taken.symbol,
        )
        RecheckBook(filled.database).ended(taken.claim_id)

    with Worker(filled, answer) as worker:
        yield worker


def refresh(api: Any, symbol: str = "AAPL", **options: Any) -> Any:
    began = time.monotonic()
    reply = api.post("user-refresh", {"symbol": symbol}, **options)
    took = time.monotonic() - began
    assert took < 12
    assert reply.status == 200, reply.body
    told = reply.json
    assert {step["status"] for step in told["steps"]} <= WORDS
    assert 0 <= told["durationMs"] <= took * 1_000
    made = ("mlJobQueued", "optionsJobQueued", "srCalculated")
    assert [told["summary"][name] for name in made] == [False] * 3
    return told


def step(told: Any, name: str) -> Any:
    return next(one for one in told["steps"] if one["step"] == name)


@pytest.mark.usefixtures("working")
def test_a_press_is_answered_with_the_bars_that_changed(filled: Any) -> None:
    told = refresh(filled)
    assert (told["success"], told["symbol"], told["message"]) == (True, "AAPL", "1 bar updated")
    summary = told["summary"]
    assert (summary["backfillNeeded"], summary["backfillQueued"]) == (False, False)
    assert summary["barsUpdated"] == 1
    assert step(told, "fetch_bars")["status"] == "completed"
    assert (told["queuedJobs"], told["warnings"]) == ([], [])
    assert told["nextExpectedUpdate"] == "2026-11-23T14:45:00Z"


def test_a_hundred_presses_by_many_in_a_minute_are_one_request(
    filled: Any, working: Worker, user: UUID, token: Callable[..., str]
) -> None:
    keys = [filled.keys.anon, filled.keys.service, token(user)]
    with ThreadPoolExecutor(8) as people:
        told = list(people.map(lambda n: refresh(filled, key=keys[n % 3]), range(40)))
    assert working.asked == ["AAPL"]
    again = refresh(filled)
    assert step(again, "fetch_bars")["status"] == "skipped"
    assert "once a minute" in again["message"]
    assert again["summary"]["barsUpdated"] == 0
    assert sum(one["summary"]["barsUpdated"] for one in told) >= 1
    filled.post("reload-watchlist-data", {"symbols": ["AAPL"]})
    assert working.asked == ["AAPL"]
    filled.sql("update rechecks set request_at = request_at - interval '61 seconds'")
    assert refresh(filled)["summary"]["barsUpdated"] == 1
    assert working.asked == ["AAPL", "AAPL"]


def test_a_press_leaves_percent_slices_and_the_ledger_as_they_are(
    filled: Any, working: Worker
) -> None:
    def seen() -> Any:
        body = {"symbol": "AAPL", "timeframe": "m15", "window_days": 30}
        return filled.post("ensure-coverage", body).json, filled.sql(
            "select day, state, answers from session_coverage order by day"
        )

    before = seen()
    assert before[0]["status"] == "coverage_complete"
    refresh(filled)
    assert working.asked == ["AAPL"]
    assert seen() == before


def test_without_a_platform_the_answer_comes_in_time_and_is_pending(filled: Any) -> None:
    filled.sql("delete from heartbeats")
    told = refresh(filled)
    assert told["durationMs"] < 5_000, "there is nothing to wait for"
    assert told["success"] is True
    assert step(told, "fetch_bars")["status"] == "pending"
    assert told["message"].endswith("run swiftbolt up")
    assert told["warnings"] != []
    assert told["summary"]["barsUpdated"] == 0


def test_a_new_symbol_is_tracked_planned_and_answered(api: Any) -> None:
    told = refresh(api, "zzzz")
    assert told["symbol"] == "ZZZZ"
    summary = told["summary"]
    assert (summary["backfillNeeded"], summary["backfillQueued"]) == (True, True)
    assert step(told, "queue_backfill")["status"] == "completed"
    assert told["queuedJobs"] == ["backfill"]
    tracked = (
        "select source from user_symbol_tracking join symbols s on s.id = symbol_id"
        " where ticker = 'ZZZZ'"
    )
    assert api.sql(tracked) == [("chart_view",)]


def test_what_fails_for_now_is_pending_and_asked_again_a_minute_later(filled: Any) -> None:
    def fail(taken: Recheck) -> None:
        error = UnavailableError("polygon: HTTP 503")
        RecheckBook(filled.database).failed(taken.claim_id, error)

    with Worker(filled, fail) as worker:
        told = refresh(filled)
        assert worker.asked == ["AAPL"]
        assert step(told, "fetch_bars")["status"] == "pending"
        assert "HTTP 503" in told["message"]
        assert told["success"] is True
        wait = "select extract(epoch from due_at - request_at)::float8 from rechecks"
        assert filled.sql(wait) == [(60,)]
        # Each waits some ten seconds for what is pending.
        with ThreadPoolExecutor(5) as people:
            list(people.map(lambda _: filled.post("reload-watchlist-data", {}), range(5)))
        assert worker.asked == ["AAPL"]


def test_what_is_refused_has_failed_and_says_why(filled: Any) -> None:
    def refuse(taken: Recheck) -> None:
        error = BadRequestError("polygon: HTTP 404: no such ticker")
        RecheckBook(filled.database).failed(taken.claim_id, error)

    with Worker(filled, refuse):
        told = refresh(filled)
    assert told["success"] is False
    assert step(told, "fetch_bars")["status"] == "failed"
    assert told["message"] == "polygon: HTTP 404: no such ticker"


def test_a_wrong_key_is_no_refusal_of_the_symbol(filled: Any) -> None:
    def refuse(taken: Recheck) -> None:
        RecheckBook(filled.database).failed(taken.claim_id, KeyRefusedError("polygon: HTTP 401"))

    with Worker(filled, refuse):
        told = refresh(filled)
    assert (told["success"], step(told, "fetch_bars")["status"]) == (True, "pending")


def test_a_person_reloads_its_own_watchlist_and_sees_no_other(
    filled: Any, working: Worker, user: UUID, token: Callable[..., str]
) -> None:
    mine = token(user)
    filled.post("watchlist-sync", {"action": "add", "symbol": "TSLA"})
    filled.post("watchlist-sync", {"action": "add", "symbol": "MSFT"}, key=mine)
    filled.post("watchlist-sync", {"action": "add", "symbol": "AAPL"}, key=mine)
    told = filled.post("reload-watchlist-data", {"forceRefresh": True, "symbols": None}, key=mine)
    assert [one["symbol"] for one in told.json["results"]] == ["AAPL", "MSFT"]
    assert told.json["summary"] == {"total": 2, "success": 2, "errors": 0}
    assert told.json["success"] is True
    loaded = {one["symbol"]: one["barsLoaded"] for one in told.json["results"]}
    assert loaded["AAPL"] == {"m15": 1, "h1": 0, "h4": 0, "d1": None, "w1": None}
    assert sorted(working.asked) == ["AAPL", "MSFT"]
    assert filled.post("reload-watchlist-data", {}, key=None).status == 401


def test_a_reload_tells_each_symbol_and_is_bounded(filled: Any, working: Worker) -> None:
    timeframes = ["m15", "h1", "h4", "d1", "w1"]
    body = {"symbols": ["AAPL", "ZZZZ", "aapl", "no ticker"], "timeframes": timeframes}
    told = filled.post("reload-watchlist-data", body).json
    assert {one["symbol"]: one["status"] for one in told["results"]} == {
        "AAPL": "success", "ZZZZ": "error", "no ticker": "error",
    }  # fmt: skip
    assert told["summary"] == {"total": 3, "success": 1, "errors": 2}
    assert working.asked == ["AAPL"]
    many = filled.post("reload-watchlist-data", {"symbols": [f"A{n}" for n in range(201)]})
    assert (many.status, many.error.partition(":")[0]) == (400, "symbols")
    own = filled.post("reload-watchlist-data", {}).json
    assert [one["symbol"] for one in own["results"]] == ["AAPL"], "what is tracked is on the list"
    filled.post("watchlist-sync", {"action": "remove", "symbol": "AAPL"})
    empty = filled.post("reload-watchlist-data", {}).json
    assert (empty["success"], empty["results"]) == (True, [])


def test_two_hundred_symbols_answer_in_time_while_nobody_works(filled: Any) -> None:
    symbols = [f"Q{n}" for n in range(200)]
    filled.sql("insert into symbols (ticker) select unnest(%s::text[])", symbols)
    began = time.monotonic()
    told = filled.post("reload-watchlist-data", {"symbols": symbols}).json
    assert time.monotonic() - began < 12
    assert told["summary"] == {"total": 200, "success": 0, "errors": 0}
    assert {one["status"] for one in told["results"]} == {"pending"}


def test_an_answer_that_came_by_another_way_ends_the_wait(
    filled: Any, wait_for: Callable[..., Any]
) -> None:
    with ThreadPoolExecutor(1) as person:
        pressed = person.submit(refresh, filled)
        wait_for(lambda: filled.sql("select from rechecks"), "the press is noted")
        filled.sql(
            "insert into session_coverage"
            " (symbol_id, day, state, expected, bars, answers, provider)"
            " select id, '2026-11-20', 'provisional', 26, 26, 0, 'tradier' from symbols"
            " where ticker = 'AAPL'"
        )
        told = pressed.result(15)
    assert step(told, "fetch_bars")["status"] == "completed"
    assert RecheckBook(filled.database).claim(day=TODAY, is_past=False, least_priority=0) is None
    assert filled.sql("select ended_at is not null from rechecks") == [(True,)]


def test_a_wait_holds_no_connection(filled: Any) -> None:
    with ThreadPoolExecutor(20) as people:
        pressed = [people.submit(refresh, filled) for _ in range(20)]
        began = time.monotonic()
        for _ in range(20):
            assert filled.get("market-status").status == 200
        assert time.monotonic() - began < 8
        assert {one.result(15)["success"] for one in pressed} == {True}


def test_who_waits_for_the_budget_is_answered_at_once(filled: Any, serve: Any) -> None:
    filled.sql("insert into rate_limit (name, n, window_s) values ('polygon', 1, 60)")
    filled.sql(
        "insert into rate_slot (name, free_at, holder)"
        " values ('polygon', clock_timestamp() + interval '50 seconds', 'another')"
    )
    with serve(POLYGON_API_KEY="a-key-of-a-test-0000000000000") as only_history:
        began = time.monotonic()
        told = refresh(only_history)
        assert time.monotonic() - began < 5
    assert step(told, "fetch_bars")["status"] == "pending"


@pytest.mark.parametrize(
    "body", [{}, {"symbol": None}, {"symbol": "a b"}, {"symbol": "TOOLONGTICKER"}]
)
def test_a_malformed_ticker_is_refused(api: Any, body: Any) -> None:
    assert api.post("user-refresh", body).status == 400
    assert api.sql("select from rechecks") == []


def test_a_symbol_that_todays_provider_cannot_spell_is_told_and_costs_nothing(
    filled: Any, working: Worker
) -> None:
    told = refresh(filled, "BCpC")
    fetched = step(told, "fetch_bars")
    assert (told["symbol"], fetched["status"]) == ("BCpC", "skipped")
    assert "small letters" in fetched["message"]
    body = {"symbols": ["BCpC", "AAPL"]}
    found = {
        one["symbol"]: one for one in filled.post("reload-watchlist-data", body).json["results"]
    }
    assert "small letters" in found["BCpC"]["message"]
    assert working.asked == ["AAPL"]
    assert filled.sql("select count(*) from rechecks") == [(1,)]
