"""The life of a slice: claimed once, by priority and age; settled, failed, or given back."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID, uuid4

import pytest

from resources.bars.ledger import Ledger
from resources.queue.slices import WorkQueue
from resources.queue.tracking import track
from swiftbolt_assets import errors
from swiftbolt_assets.errors import (
    BadRequestError,
    LeftAloneError,
    ProviderError,
    RateLimitedError,
    UnavailableError,
    is_refusal,
    wait_told,
)
from swiftbolt_assets.market.sessions import xnys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg

    from resources.bars.store import BarStore
    from resources.postgres.database import Database

ANON = UUID(int=0)
TODAY = date(2026, 11, 20)
ATTEMPTS = 5


class Planner(Protocol):
    """The connection of `conftest.py`."""

    sql: psycopg.Connection[tuple[Any, ...]]

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]: ...
    def want(
        self, symbol: str = ..., timeframe: str = ..., window: int = ..., priority: int = ...
    ) -> UUID: ...
    def plan(self, symbol: str | None = None, least_priority: int = 0) -> int: ...
    def settle(self, symbol: str, days: Sequence[date]) -> None: ...
    def move(self, instant: datetime) -> None: ...
    def run(self, symbol: str = ..., **columns: Any) -> UUID: ...  # noqa: ANN401


class Office(Protocol):
    """The committed queue of `conftest.py`."""

    database: Database
    queue: WorkQueue
    store: BarStore
    by_hand: Planner

    def fetched(self, symbol: str, days: Sequence[date], *, final: bool = True) -> None: ...
    def runs(self, symbol: str, columns: str) -> list[tuple[Any, ...]]: ...


def window(days_back: int) -> list[date]:
    """Return the sessions that a window needs."""
    first, last = TODAY - timedelta(days=days_back), TODAY - timedelta(days=1)
    return [session.day for session in xnys().between(first, last)]


def at_once(*actions: Callable[[], object]) -> list[Any]:
    """Run actions at the same time; raise what one of them raised."""
    with ThreadPoolExecutor(len(actions)) as pool:
        return [future.result() for future in [pool.submit(action) for action in actions]]


def begin(office: Office, symbol: str = "AAPL", window_days: int = 30, **wanted: int) -> UUID:
    """Want, plan, claim and begin the newest slice; return the claim."""
    office.by_hand.want(symbol, window=window_days, **wanted)
    office.queue.plan()
    claim = office.queue.claim(least_priority=0)
    assert claim is not None
    assert claim.symbol == symbol
    office.queue.begin(symbol, claim.slices[0].first, claim.slices[0].last)
    return claim.claim_id


def make_due(office: Office) -> None:
    """Let the waits of all slices be over."""
    office.by_hand.rows(
        "with due as (update job_runs set next_attempt_at = now() - interval '1 second'"
        " where next_attempt_at is not null returning 1), asked as (update symbol_refusals"
        " set next_attempt_at = null returning 1) select * from due, asked"
    )


def test_the_highest_priority_is_claimed_first_and_of_equal_ones_the_oldest(
    office: Office,
) -> None:
    for symbol, priority in [("LOW", 100), ("OLD", 200), ("NEW", 200), ("HIGH", 300)]:
        office.by_hand.want(symbol, priority=priority)
        office.queue.plan()
    claimed = []
    while (claim := office.queue.claim(least_priority=0)) is not None:
        claimed.append((claim.symbol, claim.priority))
    assert claimed == [("HIGH", 300), ("OLD", 200), ("NEW", 200), ("LOW", 100)]


def test_symbols_added_by_the_seed_function_wait_in_the_order_of_their_priorities(
    office: Office,
) -> None:
    given = {"META": 150, "TSLA": 190, "GOOGL": 170, "NVDA": 160, "MSFT": 180}
    for symbol, priority in given.items():
        office.by_hand.want(symbol, window=730, priority=priority)
    office.queue.plan()
    claims = [office.queue.claim(least_priority=0) for _ in given]
    symbols = [claim.symbol for claim in claims if claim]
    assert symbols == ["TSLA", "MSFT", "GOOGL", "NVDA", "META"]


def test_a_claim_holds_all_due_slices_of_a_symbol_newest_first_and_none_overlapping(
    office: Office,
) -> None:
    office.by_hand.want("AAPL", window=730)
    office.by_hand.want("AAPL", "h1", window=90)
    office.queue.plan()
    claim = office.queue.claim(least_priority=0)
    assert claim is not None
    assert len(claim.slices) == 10
    for newer, older in pairwise(claim.slices):
        assert older.first <= older.last < newer.first
    assert office.queue.claim(least_priority=0) is None
    (open_claim,) = office.queue.open_claims()
    assert (open_claim.claim_id, open_claim.symbol) == (claim.claim_id, "AAPL")
    assert 0 <= open_claim.age_s < 60


def test_a_needed_priority_leaves_the_others_unclaimed(office: Office) -> None:
    office.by_hand.want("AAPL", priority=199)
    office.queue.plan()
    assert office.queue.claim(least_priority=200) is None
    assert office.queue.claim(least_priority=199) is not None


def test_a_raised_priority_counts_for_all_that_is_not_claimed_and_after_a_release_for_the_rest(
    office: Office,
) -> None:
    for symbol in ("FIRST", "SECOND", "THIRD"):
        office.by_hand.want(symbol, priority=100)
    office.queue.plan()
    first = office.queue.claim(least_priority=0)
    assert first is not None
    assert first.symbol == "FIRST"
    for symbol in ("FIRST", "THIRD"):
        office.by_hand.want(symbol, priority=300)
    third = office.queue.claim(least_priority=0)
    assert third is not None
    assert (third.symbol, third.priority) == ("THIRD", 300)
    office.queue.release([first.claim_id], "gone")
    again = office.queue.claim(least_priority=0)
    assert again is not None
    assert (again.symbol, again.priority) == ("FIRST", 300)


def test_a_lowered_priority_counts_as_well(office: Office) -> None:
    office.by_hand.want("AAPL", priority=300)
    office.by_hand.want("MSFT", priority=200)
    office.queue.plan()
    office.by_hand.want("AAPL", priority=100)
    claim = office.queue.claim(least_priority=0)
    assert claim is not None
    assert claim.symbol == "MSFT"


def test_ten_claimers_at_once_take_every_symbol_once(office: Office) -> None:
    """Failure mode 25: overlapping ticks took the same work."""
    symbols = [f"S{n}" for n in range(6)]
    for symbol in symbols:
        for timeframe in ("m15", "h1", "h4"):
            office.by_hand.want(symbol, timeframe, window=365)
    office.queue.plan()

    def claim_all() -> list[tuple[str, UUID]]:
        queue, taken = WorkQueue(office.database), []
        while (claim := queue.claim(least_priority=0)) is not None:
            taken.append((claim.symbol, claim.claim_id))
        return taken

    for _ in range(5):
        taken = [claim for some in at_once(*[claim_all] * 10) for claim in some]
        assert sorted(symbol for symbol, _ in taken) == symbols
        assert office.by_hand.rows(
            "select count(distinct claim_id) = 1 and bool_and(claim_id is not null)"
            " from job_runs group by symbol"
        ) == [(True,)] * len(symbols)
        office.queue.release([claim_id for _, claim_id in taken], "again")


def test_crossing_changes_of_the_queue_never_wait_for_each_other(  # noqa: C901 - a dispatch
    office: Office,
) -> None:
    symbols = [f"S{n}" for n in range(4)]
    for symbol in symbols:
        for timeframe in ("m15", "h1", "h4"):
            office.by_hand.want(symbol, timeframe, window=365)
    office.queue.plan()
    before = deadlocks(office)
    days = window(365)

    def work(seed: int) -> None:
        chance, queue = random.Random(seed), WorkQueue(office.database)  # noqa: S311
        for _ in range(25):
            symbol, day = chance.choice(symbols), chance.choice(days)
            action = chance.randrange(6)
            if action == 0:
                claim = queue.claim(least_priority=0)
                if claim is not None:
                    queue.begin(claim.symbol, claim.slices[0].first, claim.slices[0].last)
            elif action == 1:
                queue.begin(symbol, day, day)
            elif action == 2:
                queue.fail(symbol, UnavailableError("polygon: 503"))
            elif action == 3:
                queue.release([claim.claim_id for claim in queue.open_claims()], "gone")
            elif action == 4:
                queue.restart(symbol)
                queue.plan()
            else:
                track(office.database, ANON, symbols, chance.choice(["watchlist", "chart_view"]))

    at_once(*[lambda seed=seed: work(seed) for seed in range(8)])  # type: ignore[misc]
    assert deadlocks(office) == before


def deadlocks(office: Office) -> int:
    with office.database.connect() as sql:
        row = sql.execute(
            "select deadlocks from pg_stat_database where datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_stored_bars_settle_a_slice_and_tell_what_was_written(office: Office) -> None:
    for timeframe in ("m15", "h1", "h4"):
        office.by_hand.want("AAPL", timeframe, window=8)
    office.queue.plan()
    days = window(8)
    assert len(days) == 6
    assert {row[0] for row in office.runs("AAPL", "status")} == {"queued"}
    office.queue.begin("AAPL", days[0], days[-1])
    assert office.runs("AAPL", "status, started_at is not null") == [("running", True)] * 3
    office.fetched("AAPL", days[3:])
    assert office.runs("AAPL", "timeframe::text, status, progress_percent, rows_written") == [
        ("m15", "running", 50.0, 3 * 26),
        ("h1", "running", 50.0, 3 * 7),
        ("h4", "running", 50.0, 3 * 2),
    ]
    office.fetched("AAPL", days[:3])
    ended = "timeframe::text, status, progress_percent, rows_written, provider, error_code"
    assert office.runs("AAPL", ended) == [
        ("m15", "success", 100.0, 6 * 26, "polygon", None),
        ("h1", "success", 100.0, 6 * 7, "polygon", None),
        ("h4", "success", 100.0, 6 * 2, "polygon", None),
    ]
    assert office.runs("AAPL", "finished_at >= started_at") == [(True,)] * 3


def test_sessions_that_are_not_final_settle_nothing(office: Office) -> None:
    begin(office)
    office.fetched("AAPL", window(30), final=False)
    assert office.runs("AAPL", "status, progress_percent") == [("running", 0.0)]


def test_what_was_settled_by_another_run_is_not_launched_again(office: Office) -> None:
    """A slice inserted by hand for stored days was claimed, run and given back without end."""
    office.by_hand.want("AAPL", window=30)
    office.queue.plan()
    office.by_hand.settle("AAPL", window(30))
    office.by_hand.want("MSFT", window=30, priority=50)
    office.queue.plan()
    claim = office.queue.claim(least_priority=0)
    assert claim is not None
    assert claim.symbol == "MSFT"
    assert office.runs("AAPL", "status, claim_id") == [("success", None)]


def test_a_failed_slice_that_is_settled_in_part_still_says_when_it_failed(office: Office) -> None:
    begin(office, window_days=365)
    office.queue.fail("AAPL", BadRequestError("polygon: no such symbol"))
    office.by_hand.sql.execute("update job_runs set status = 'failed', finished_at = now()")
    office.fetched("AAPL", window(5))
    assert office.runs("AAPL", "status, finished_at is not null, error_code")[0] == (
        "failed",
        True,
        "INVALID_SYMBOL",
    )


def of_the_tree(base: type[ProviderError] = ProviderError) -> list[type[ProviderError]]:
    """Return the provider's errors of `errors.py`; a client's own are of these families."""
    below = [one for child in base.__subclasses__() for one in of_the_tree(child)]
    return [base, *below] if base.__module__ == errors.__name__ else []


def raised(kind: type[ProviderError]) -> ProviderError:
    if issubclass(kind, RateLimitedError | LeftAloneError):
        return kind("polygon: said no\nand more", 60.0)
    return kind("polygon: said no\nand more")


@pytest.mark.parametrize("kind", of_the_tree())
def test_every_failure_keeps_its_code_and_reason_and_waits_as_it_should(
    office: Office, kind: type[ProviderError]
) -> None:
    error = raised(kind)
    begin(office)
    failed = office.queue.fail("AAPL", error)
    ((status, attempt, code, message, wait, claim, ended),) = office.runs(
        "AAPL",
        "status, attempt, error_code, error_message,"
        " extract(epoch from next_attempt_at - clock_timestamp())::float8, claim_id,"
        " finished_at is not null",
    )
    assert (code, message, claim) == (kind.code, "polygon: said no and more", None)
    used = 1 if wait_told(error) is None else 0
    assert (failed, status, attempt, ended) == (0, "queued", 1 + used, False)
    if is_refusal(error) or not used:
        assert 50 < wait <= 60
    else:
        assert 20 < wait <= 30
    assert office.queue.claim(least_priority=0) is None, "it does not wait"
    make_due(office)
    office.queue.plan()
    assert office.queue.claim(least_priority=0) is not None


def test_every_code_is_one_of_the_contracts() -> None:
    assert {kind.code for kind in of_the_tree()} == {
        "API_ERROR",
        "PROVIDER_UNAVAILABLE",
        "RATE_LIMIT_EXCEEDED",
        "PERMISSION_DENIED",
        "INVALID_SYMBOL",
    }
    assert errors.UnavailableError.code == "PROVIDER_UNAVAILABLE"


def test_a_passing_failure_is_retried_for_ever_with_growing_waits(office: Office) -> None:
    """Failure mode 24: a failed slice was queued again with attempt 1, endlessly."""
    begin(office)
    waits = []
    for _ in range(ATTEMPTS + 1):
        assert office.queue.fail("AAPL", UnavailableError("polygon: 503")) == 0
        ((status, wait),) = office.runs(
            "AAPL", "status, extract(epoch from next_attempt_at - clock_timestamp())::float8"
        )
        waits.append(round(wait / 10) * 10)
        assert status == "queued"
        make_due(office)
        assert office.queue.claim(least_priority=0) is not None
        office.queue.begin("AAPL", TODAY - timedelta(days=30), TODAY)
    assert waits == [30, 60, 120, 240, 480, 960]


def test_waits_are_bounded(office: Office) -> None:
    waits = office.by_hand.rows(
        "select extract(epoch from retry_delay(n))::int from generate_series(1, 2000, 1) n"
    )
    assert [wait for (wait,) in waits[:6]] == [30, 60, 120, 240, 480, 960]
    assert {wait for (wait,) in waits[9:]} == {14_400}
    assert office.by_hand.rows("select retry_delay(-5) <= interval '30 seconds'") == [(True,)]


def test_a_refusal_holds_all_slices_of_the_symbol_until_its_wait_is_over_or_a_person_asks(
    office: Office,
) -> None:
    begin(office, window_days=730)
    assert office.queue.fail("AAPL", BadRequestError("polygon: no such symbol")) == 0
    assert set(office.runs("AAPL", "status, error_code")) == {("queued", "INVALID_SYMBOL")}
    office.by_hand.want("AAPL", window=760)
    office.queue.plan()
    assert office.queue.claim(least_priority=0) is None, "new slices of it did not wait"
    make_due(office)
    claim = office.queue.claim(least_priority=0)
    assert claim is not None
    assert len(claim.slices) == 1, "one request finds out"
    office.queue.release([claim.claim_id], "gone")
    office.queue.restart("AAPL")
    assert set(office.runs("AAPL", "status, attempt, next_attempt_at")) == {("queued", 1, None)}


def test_a_rate_limit_never_uses_up_an_attempt(office: Office) -> None:
    begin(office)
    for _ in range(3 * ATTEMPTS):
        assert office.queue.fail("AAPL", RateLimitedError("polygon: 429", 60.0)) == 0
        make_due(office)
        assert office.queue.claim(least_priority=0) is not None
        office.queue.begin("AAPL", TODAY - timedelta(days=30), TODAY)
    assert office.runs("AAPL", "status, attempt, error_code") == [
        ("running", 1, "RATE_LIMIT_EXCEEDED")
    ]


def test_slices_that_had_not_begun_wait_without_using_up_an_attempt(office: Office) -> None:
    begin(office, window_days=200)
    office.queue.fail("AAPL", UnavailableError("polygon: cools down"))
    assert office.runs("AAPL", "status, attempt, error_code, claim_id") == [
        ("queued", 2, "PROVIDER_UNAVAILABLE", None),
        ("queued", 1, None, None),
        ("queued", 1, None, None),
    ]


def test_a_long_message_is_kept_as_one_short_line(office: Office) -> None:
    begin(office)
    office.queue.fail("AAPL", UnavailableError("line\n" * 1000))
    ((message,),) = office.runs("AAPL", "error_message")
    assert len(message) == 500
    assert "\n" not in message


def test_a_lost_claim_is_given_back_and_what_had_begun_has_used_up_an_attempt(
    office: Office,
) -> None:
    claim = begin(office, window_days=120)
    assert office.queue.release([], "nothing") == 0
    assert office.queue.release([uuid4()], "another") == 0
    assert office.queue.release([claim], "its process is gone") == 2
    assert office.runs("AAPL", "status, attempt, error_code, error_message, next_attempt_at") == [
        ("queued", 2, "STALE_RUNNING", "its process is gone", None),
        ("queued", 1, None, None, None),
    ]
    for _ in range(ATTEMPTS - 1):
        again = office.queue.claim(least_priority=0)
        assert again is not None
        office.queue.begin("AAPL", again.slices[0].last, again.slices[0].last)
        office.queue.release([again.claim_id], "its process is gone")
    assert office.runs("AAPL", "status, attempt, error_code, next_attempt_at is not null") == [
        ("queued", 6, "STALE_RUNNING", True),
        ("queued", 1, None, False),
    ]


def test_only_some_days_of_a_claim_are_given_back(office: Office) -> None:
    claim = begin(office, window_days=120)
    newest, oldest = office.runs("AAPL", "first_day, last_day")
    assert office.queue.release([claim], "gone", newest) == 1
    assert office.runs("AAPL", "claim_id is null") == [(True,), (False,)]
    assert office.queue.claim(least_priority=0) is None, "the rest is still under way"
    assert office.queue.release([claim], "gone", oldest) == 1


def test_a_run_that_fails_by_itself_waits_longer_each_time(office: Office) -> None:
    """A run that failed before its first request was launched again at once, without end."""
    office.by_hand.want("AAPL", window=30)
    office.queue.plan()
    waits = []
    for _ in range(ATTEMPTS):
        claim = office.queue.claim(least_priority=0)
        assert claim is not None
        office.queue.release([claim.claim_id], "POLYGON_API_KEY: it is unset", code="API_ERROR")
        assert office.queue.claim(least_priority=0) is None
        ((wait,),) = office.runs(
            "AAPL", "extract(epoch from next_attempt_at - clock_timestamp())::float8"
        )
        waits.append(round(wait / 10) * 10)
        make_due(office)
    assert waits == [30, 60, 120, 240, 480]
    assert office.runs("AAPL", "status, attempt, error_code, error_message") == [
        ("queued", 6, "API_ERROR", "POLYGON_API_KEY: it is unset")
    ]


def test_what_a_person_cancelled_stays_so_until_the_calendar_asks_anew(office: Office) -> None:
    claim = begin(office, window_days=120)
    assert office.queue.cancel([], "nothing") == 0
    assert office.queue.cancel([claim], "a person") == 2
    assert (
        office.runs("AAPL", "status, error_message, claim_id, finished_at is not null")
        == [("cancelled", "a person", None, True)] * 2
    )
    assert office.queue.plan() == 0
    assert office.queue.restart("AAPL") == 0
    office.by_hand.move(datetime(2026, 11, 23, 18, tzinfo=UTC))
    assert office.by_hand.plan() == 2


def test_a_restart_ends_every_wait(office: Office) -> None:
    begin(office, window_days=120)
    office.queue.fail("AAPL", UnavailableError("polygon: 503"))
    assert office.queue.restart("AAPL") == 2
    assert office.queue.restart("AAPL") == 0
    assert office.runs("AAPL", "status, attempt, next_attempt_at") == [("queued", 1, None)] * 2


def test_claim_queued_job_gives_one_row_by_priority_then_age_to_each_worker(
    office: Office,
) -> None:
    """Failure mode 21: its first version failed on an ambiguous column, silently."""
    for symbol, priority in (("LOW", 100), ("HIGH", 300)):
        for timeframe in ("m15", "h1", "h4"):
            office.by_hand.want(symbol, timeframe, window=200, priority=priority)
    office.queue.plan()

    def take() -> tuple[Any, ...] | None:
        with office.database.transaction() as sql:
            return sql.execute("select * from claim_queued_job()").fetchone()

    first = take()
    assert first is not None
    assert first[1:4] == ("HIGH", "m15", "fetch_intraday")
    assert first[4] < first[5]
    taken = [row for row in at_once(*[take] * 10) if row is not None]
    assert len({row[0] for row in [first, *taken]}) == 11, "two workers took the same row"
    ran = office.by_hand.rows(
        "select symbol, count(*) from job_runs where status = 'running' group by 1 order by 1"
    )
    assert dict(ran)["HIGH"] == 9


def test_rows_that_a_worker_left_running_are_queued_again_and_failed_in_the_end(
    office: Office,
) -> None:
    office.by_hand.want("AAPL", window=3)
    office.queue.plan()
    reset = "select requeued, failed from reset_stale_running_jobs(%s, %s)"
    for attempt in range(1, ATTEMPTS + 1):
        assert len(office.by_hand.rows("select * from claim_queued_job()")) == 1
        assert office.queue.reset_stale() == 0, "an hour has not passed"
        found = office.by_hand.rows(reset, 0, ATTEMPTS)
        assert found == [(0, 1)] if attempt == ATTEMPTS else [(1, 0)]
    ((status, code, message),) = office.runs("AAPL", "status, error_code, error_message")
    assert (status, code) == ("failed", "STALE_RUNNING")
    assert message == "no progress for 0 minutes"


def test_rows_that_a_killed_command_left_running_are_queued_again_once_its_turn_is_free(
    office: Office,
) -> None:
    office.by_hand.want("AAPL", window=3)
    office.queue.plan()
    office.queue.begin("AAPL", date(2026, 11, 1), date(2026, 11, 19))
    symbol_id = office.by_hand.rows("select id from symbols where ticker = 'AAPL'")[0][0]
    ledger = Ledger(office.database)
    with ledger.symbol_turn(symbol_id):
        with office.database.transaction() as sql:
            sql.execute("alter table job_runs disable trigger job_runs_touch")
            sql.execute("update job_runs set updated_at = now() - interval '30 seconds'")
            sql.execute("alter table job_runs enable trigger job_runs_touch")
        assert office.queue.reset_stale() == 0, "its process works on it"
    # The server lets go of the turn a moment after its connection is closed.
    deadline = time.monotonic() + 30
    while not (released := office.queue.reset_stale()):
        assert time.monotonic() < deadline
    assert released == 1
    assert office.runs("AAPL", "status, attempt, error_code") == [("queued", 2, "STALE_RUNNING")]


def test_a_claims_running_rows_are_not_stale_while_they_wait_for_the_provider(
    office: Office,
) -> None:
    begin(office)
    assert office.by_hand.rows("select requeued, failed from reset_stale_running_jobs(0)") == [
        (0, 0)
    ]
    assert office.runs("AAPL", "status, attempt") == [("running", 1)]


@pytest.mark.parametrize("seed", range(3))
def test_progress_stays_in_its_plan_and_never_falls(office: Office, seed: int) -> None:
    """Mistake 8 and failure mode 19: totals of what existed so far, and a percent that fell."""
    chance = random.Random(seed)  # noqa: S311
    definition = office.by_hand.want("AAPL", window=365)
    office.by_hand.want("AAPL", "h1", window=90)
    office.queue.plan()
    missing = window(365)
    total, percents, written = 5, [0], [0]
    while missing:
        at = chance.randrange(len(missing))
        some = missing[at : at + chance.randint(1, 60)]
        missing = [day for day in missing if day not in some]
        if chance.random() < 0.3 and (claim := office.queue.claim(least_priority=0)):
            office.queue.begin("AAPL", claim.slices[0].first, claim.slices[0].last)
            office.queue.fail("AAPL", RateLimitedError("polygon: 429", 60.0))
            make_due(office)
        office.queue.begin("AAPL", some[0], some[-1])
        office.fetched("AAPL", some)
        (progress,) = office.by_hand.rows("select * from get_job_progress(%s)", definition)
        slices, done, running, queued, failed, percent, bars, sessions, settled, complete = progress
        assert (slices, done + running + queued + failed) == (total, total)
        assert (sessions, settled) == (len(window(365)), len(window(365)) - len(missing))
        assert percent == settled * 100 // sessions
        assert complete == (percent == 100) == (not missing)
        percents.append(percent)
        written.append(bars)
    assert percents == sorted(percents)
    assert written == sorted(written)
    assert written[-1] == sum(xnys().session(day).slots for day in window(365))  # type: ignore[union-attr]


def test_polls_write_nothing_and_between_two_answers_all_of_them_say_the_same(
    office: Office,
) -> None:
    definition = office.by_hand.want("AAPL", window=365)
    office.queue.plan()
    seen = []
    for days in ([], window(365)[-60:], window(365)):
        if days:
            office.queue.begin("AAPL", days[0], days[-1])
            office.fetched("AAPL", days)
        with office.database.connect(autocommit=False) as poll:
            # It could not write, nor take a row's lock.
            poll.execute("set transaction read only")
            rows = [
                poll.execute("select * from get_job_progress(%s)", (definition,)).fetchall()
                for _ in range(40)
            ]
        assert rows == [rows[0]] * 40
        seen += rows[0]
    assert [(row[0], row[5]) for row in seen] == [
        (5, 0),
        (5, 60 * 100 // len(window(365))),
        (5, 100),
    ]
    assert all(sum(row[1:5]) == row[0] for row in seen)


def test_failed_slices_are_counted_and_never_as_complete(office: Office) -> None:
    definition = office.by_hand.want("AAPL", window=120)
    begin(office, window_days=120)
    office.by_hand.sql.execute("update job_runs set status = 'failed'")
    assert office.by_hand.rows(
        "select total_slices, failed_slices, progress_percent, complete from get_job_progress(%s)",
        definition,
    ) == [(2, 2, 0, False)]


def test_a_symbol_has_one_running_slice_whatever_a_request_spans(office: Office) -> None:
    begin(office, window_days=365)
    office.queue.begin("AAPL", TODAY - timedelta(days=365), TODAY)
    states = office.runs("AAPL", "status")
    assert states == [("running",), *[("queued",)] * 4]
    older = office.runs("AAPL", "first_day, last_day")[2]
    office.queue.begin("AAPL", *older)
    assert [status for (status,) in office.runs("AAPL", "status")].index("running") == 2
    assert len(office.by_hand.rows("select 1 from job_runs where status = 'running'")) == 1


def test_ten_that_track_one_symbol_at_once_make_one_set_of_definitions_and_slices(
    office: Office,
) -> None:
    """Failure mode 27: without a unique key, races made duplicates."""

    def record() -> None:
        track(office.database, ANON, ["AAPL"], "watchlist")
        WorkQueue(office.database).plan()

    at_once(*[record] * 10)
    assert office.by_hand.rows(
        "select timeframe::text, window_days, priority from job_definitions d order by d.timeframe"
    ) == [("m15", 30, 300), ("h1", 90, 300), ("h4", 365, 300)]
    assert office.by_hand.rows("select count(*) from user_symbol_tracking") == [(1,)]
    slices = office.by_hand.rows(
        "select r.timeframe::text, count(*), count(distinct first_day) from job_runs r"
        " group by r.timeframe order by r.timeframe"
    )
    assert slices == [("m15", 1, 1), ("h1", 2, 2), ("h4", 5, 5)]


def test_two_that_track_the_same_symbols_in_other_orders_never_wait_for_each_other(
    office: Office,
) -> None:
    before = deadlocks(office)
    orders = (["AAPL", "MSFT", "NVDA"], ["NVDA", "MSFT", "AAPL"])
    sources = ("recent_search", "chart_view", "watchlist")
    for source in sources:
        at_once(
            *(lambda o=order: track(office.database, ANON, o, source) for order in orders * 4)  # noqa: B023 - they run here
        )
        office.queue.plan()
    assert deadlocks(office) == before
    assert office.by_hand.rows("select count(*), min(priority) from job_definitions") == [(9, 300)]


@pytest.mark.parametrize(
    ("source", "priority"), [("watchlist", 300), ("chart_view", 200), ("recent_search", 100)]
)
def test_interest_reaches_the_queue_with_its_priority(
    office: Office, source: str, priority: int
) -> None:
    """Steps 1 to 5 of row B22: the row, the trigger, the definitions, the slices, the claim."""
    track(office.database, ANON, ["TSLA"], source)
    office.queue.plan()
    claim = office.queue.claim(least_priority=0)
    assert claim is not None
    assert (claim.symbol, claim.priority) == ("TSLA", priority)


def test_later_interest_of_less_weight_lowers_nothing_and_each_source_is_one_row(
    office: Office,
) -> None:
    """Failure mode 30: a chart view took a watchlist's priority and a two-year window back."""
    track(office.database, ANON, ["TSLA"], "watchlist")
    office.by_hand.rows(
        "with raised as (update job_definitions set window_days = 730 returning 1)"
        " select * from raised"
    )
    for source in ("recent_search", "chart_view", "recent_search"):
        found = track(office.database, ANON, ["TSLA"], source)
        assert {(one.priority, one.window_days) for one in found} == {(300, 730)}
    assert office.by_hand.rows(
        "select source, count(*) from user_symbol_tracking group by 1 order by 1"
    ) == [("chart_view", 1), ("recent_search", 1), ("watchlist", 1)]


def test_priorities_and_windows_are_configured_in_one_place(office: Office) -> None:
    office.by_hand.sql.execute("begin")
    office.by_hand.sql.execute("update interest_priorities set priority = 250")
    office.by_hand.sql.execute("update interest_windows set window_days = 10")
    office.by_hand.sql.execute("insert into symbols (ticker) values ('TSLA')")
    office.by_hand.sql.execute(
        "insert into user_symbol_tracking (user_id, symbol_id, source, priority)"
        " select %s, id, 'recent_search', 999 from symbols",
        (ANON,),
    )
    assert office.by_hand.rows(
        "select distinct d.priority, d.window_days, t.priority"
        " from job_definitions d, user_symbol_tracking t"
    ) == [(250, 10, 250)]
    office.by_hand.sql.execute("rollback")


def test_whoever_waits_hears_of_new_work_of_settled_work_and_of_work_given_back(
    office: Office,
) -> None:
    with office.queue.listen() as announcements:
        assert not announcements.wait(0.05)
        track(office.database, ANON, ["TSLA"], "watchlist")
        assert announcements.wait(10)
        office.queue.plan()
        assert announcements.wait(10)
    claim = office.queue.claim(least_priority=0)
    assert claim is not None
    with office.queue.listen() as announcements:
        office.queue.release([claim.claim_id], "gone")
        assert announcements.wait(10)
    with office.queue.listen() as announcements:
        office.fetched("TSLA", window(365))
        assert announcements.wait(10)


def test_the_schedulers_entry_is_active_while_the_platform_ticks(office: Office) -> None:
    entry = "select jobname, schedule, active from cron.job where jobname = 'orchestrator-tick'"
    assert office.by_hand.rows(entry) == [("orchestrator-tick", "* * * * *", False)]
    office.queue.beat()
    office.queue.beat()
    assert office.by_hand.rows(entry) == [("orchestrator-tick", "* * * * *", True)]
    office.by_hand.sql.execute("update heartbeats set beat_at = beat_at - interval '3 minutes'")
    assert office.by_hand.rows(entry) == [("orchestrator-tick", "* * * * *", False)]


def test_a_definition_that_is_deleted_under_a_run_takes_its_slices_and_harms_no_write(
    office: Office,
) -> None:
    begin(office)
    office.by_hand.sql.execute("delete from job_definitions")
    office.fetched("AAPL", window(30))
    assert office.queue.fail("AAPL", UnavailableError("polygon: 503")) == 0
    assert office.runs("AAPL", "status") == []
    office.by_hand.want("AAPL", window=30)
    assert office.queue.plan() == 0, "all of it is stored"


def test_plans_hold_while_definitions_come_and_go(office: Office) -> None:
    """A definition deleted during a plan took the ground from under its slices."""
    symbols = [f"S{n}" for n in range(5)]

    def come_and_go(seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        with office.database.connect() as sql:
            for _ in range(20):
                symbol = chance.choice(symbols)
                if chance.random() < 0.5:
                    sql.execute("delete from job_definitions where symbol = %s", (symbol,))
                else:
                    sql.execute(
                        "select seed_intraday_backfill_job(%s, 'm15', %s)",
                        (symbol, chance.choice([30, 365, 730])),
                    )

    def plan() -> None:
        for _ in range(20):
            WorkQueue(office.database).plan()

    at_once(plan, plan, *[lambda seed=seed: come_and_go(seed) for seed in range(4)])  # type: ignore[misc]
    for symbol in symbols:
        office.by_hand.want(symbol, window=365)
    office.queue.plan()
    missing = set(window(365))
    for symbol in symbols:
        spans = office.by_hand.rows(
            "select first_day, last_day from job_runs where symbol = %s and status = 'queued'",
            symbol,
        )
        for day in missing:
            assert sum(first <= day <= last for first, last in spans) == 1, (symbol, day)
