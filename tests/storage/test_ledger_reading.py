"""What the ledger tells again, and the oracle of the derived bars."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import UUID, uuid4

import polars as pl
import psycopg
import pytest

from resources.bars.ledger import Known, Ledger
from resources.providers.contract import RequestRecord
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.market.bars import empty_bars
from swiftbolt_assets.market.coverage import Reason, SessionCoverage, State
from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

    from resources.bars.session_write import SessionsWrite
    from resources.bars.store import BarStore
    from resources.postgres.database import Database
    from swiftbolt_assets.market.sessions import Session

#: Across the clock change of 2025-11-02, with a half day later in the month.
FIRST, LAST = date(2025, 10, 30), date(2025, 11, 4)
HALF_DAY = date(2025, 11, 28)


class Recipe(Protocol):
    """What `conftest.py` makes answers of."""

    def sessions(self, first: date, last: date) -> list[Session]: ...
    def m15(self, sessions: Sequence[Session], price: float = 100.0) -> pl.DataFrame: ...
    def write(
        self,
        symbol_id: UUID,
        sessions: Sequence[Session],
        m15: pl.DataFrame | None = None,
        **changes: object,
    ) -> SessionsWrite: ...


class Actors(Protocol):
    """Other processes, of `conftest.py`."""

    def begin(self, command: str, *arguments: str) -> subprocess.Popen[str]: ...


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


def test_coverage_comes_back_as_it_was_stored_absences_included(
    ledger: Ledger, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = recipe.sessions(FIRST, LAST)
    slots = sessions[0].slot_starts()
    rows = [
        SessionCoverage(
            sessions[0].day,
            State.FINAL,
            None,
            26,
            24,
            3,
            {slots[3]: Reason.NO_TRADE, slots[9]: Reason.REJECTED},
        ),
        SessionCoverage(sessions[1].day, State.OPEN, Reason.PROVIDER_EMPTY, 26, 0, 1),
        SessionCoverage(sessions[2].day, State.PROVISIONAL, None, 26, 5, 1),
        SessionCoverage(sessions[3].day, State.FINAL, Reason.NOT_LISTED, 26, 0, 2),
    ]
    store.write(recipe.write(aapl, sessions, empty_bars(), coverage=rows))
    found = ledger.coverage(aapl, FIRST, LAST)
    assert found == {row.day: row for row in rows}
    assert set(ledger.coverage(aapl, sessions[1].day, sessions[2].day)) == {
        sessions[1].day,
        sessions[2].day,
    }


def test_a_later_answer_replaces_the_ledgers_row(
    ledger: Ledger, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = recipe.sessions(FIRST, FIRST)
    empty = SessionCoverage(FIRST, State.OPEN, Reason.PROVIDER_EMPTY, 26, 0, 1)
    store.write(recipe.write(aapl, sessions, empty_bars(), coverage=[empty]))
    store.write(recipe.write(aapl, sessions))
    assert ledger.coverage(aapl, FIRST, FIRST)[FIRST].state is State.FINAL


@pytest.mark.parametrize("reason", list(Reason))
def test_the_database_knows_every_reason_of_the_judgement(
    ledger: Ledger, store: BarStore, aapl: UUID, recipe: Recipe, reason: Reason
) -> None:
    row = SessionCoverage(FIRST, State.FINAL, reason, 26, 0, 3)
    store.write(recipe.write(aapl, recipe.sessions(FIRST, FIRST), empty_bars(), coverage=[row]))
    assert ledger.coverage(aapl, FIRST, FIRST) == {FIRST: row}


def test_the_known_ends_are_those_of_sessions_with_bars(
    ledger: Ledger, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    assert ledger.known(aapl) == Known(None, None)
    sessions = recipe.sessions(FIRST, LAST)
    store.write(recipe.write(aapl, sessions[1:3]))
    empty = SessionCoverage(LAST, State.FINAL, Reason.NO_TRADE, 26, 0, 2)
    store.write(recipe.write(aapl, sessions[3:], empty_bars(), coverage=[empty]))
    assert ledger.known(aapl) == Known(sessions[1].opens, sessions[2].closes)


def test_stored_bars_are_counted_by_timeframe_and_session(
    ledger: Ledger, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = [*recipe.sessions(FIRST, LAST), *recipe.sessions(HALF_DAY, HALF_DAY)]
    store.write(recipe.write(aapl, sessions))
    days = [session.day for session in sessions]
    rows = ledger.session_rows(aapl, days)
    for day in days:
        expected = (14, 4, 1) if day == HALF_DAY else (26, 7, 2)
        assert tuple(rows[timeframe, day] for timeframe in Timeframe) == expected
    assert len(rows) == 3 * len(days)
    assert ledger.session_rows(aapl, []) == {}


def test_derived_bars_that_are_right_are_not_named_winter_summer_and_half_days(
    ledger: Ledger, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = [*recipe.sessions(FIRST, LAST), *recipe.sessions(HALF_DAY, HALF_DAY)]
    gaps = recipe.m15(sessions).filter(pl.int_range(pl.len()) % 7 != 0)
    store.write(recipe.write(aapl, sessions, gaps, coverage=[]))
    assert ledger.underivable_bars(aapl, [session.day for session in sessions]) == []


@pytest.mark.parametrize("day", [date(2025, 10, 31), date(2025, 11, 3)])
@pytest.mark.parametrize(
    "change",
    [
        "update ohlc_bars_v2 set close = close * 1.001, high = high * 1.001",
        "update ohlc_bars_v2 set open = open * 1.0001",
        "update ohlc_bars_v2 set volume = volume + 1",
        "update ohlc_bars_v2 set low = low * 0.999",
        "delete from ohlc_bars_v2",
    ],
)
def test_an_altered_or_missing_bar_is_found_on_either_side_of_the_clock_change(
    database: Database,
    ledger: Ledger,
    store: BarStore,
    aapl: UUID,
    recipe: Recipe,
    day: date,
    change: str,
) -> None:
    sessions = recipe.sessions(FIRST, LAST)
    store.write(recipe.write(aapl, sessions))
    session = next(s for s in sessions if s.day == day)
    ts = session.opens + timedelta(hours=4)
    for timeframe in ("h1", "h4"):
        with database.connect() as sql:
            sql.execute(f"{change} where timeframe = %s and ts = %s", (timeframe, ts))
    days = [s.day for s in sessions]
    assert ledger.underivable_bars(aapl, days) == [("h1", ts), ("h4", ts)]
    assert ledger.underivable_bars(aapl, [d for d in days if d != day]) == []


def test_a_surplus_bar_is_found(
    database: Database, ledger: Ledger, store: BarStore, aapl: UUID, recipe: Recipe
) -> None:
    sessions = recipe.sessions(LAST, LAST)
    store.write(recipe.write(aapl, sessions))
    ts = sessions[0].opens + timedelta(minutes=30)
    with database.connect() as sql:
        sql.execute(
            "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, open, high, low, close,"
            " volume) values (%s, 'h1', %s, 'polygon', 1, 1, 1, 1, 1)",
            (aapl, ts),
        )
    assert ledger.underivable_bars(aapl, [LAST]) == [("h1", ts)]


def test_each_request_is_recorded_as_it_went(ledger: Ledger, database: Database) -> None:
    sent = [
        RequestRecord(
            provider=provider,
            endpoint="/v2/aggs",
            symbol=symbol,
            sent_at=datetime(2025, 11, 20, tzinfo=UTC),
            seconds=0.5,
            status=200 if outcome == "ok" else None,
            outcome=outcome,
            request_id=None,
            bars=10,
            base_minutes=100,
        )
        for symbol, outcome, provider in (
            ("AAPL", "ok", "polygon"),
            ("AAPL", "UnavailableError", "polygon"),
            ("MSFT", "ok", "tradier"),
        )
    ]
    for one in sent:
        ledger.record_request(one)
    columns = ", ".join(field.name for field in fields(RequestRecord))
    with database.connect() as sql:
        found = sql.execute(
            f"select {columns} from provider_requests order by id".encode()
        ).fetchall()
    assert [RequestRecord(*row) for row in found] == sent


def test_a_turn_is_free_again_after_an_error_in_it(ledger: Ledger, aapl: UUID) -> None:
    with pytest.raises(ZeroDivisionError), ledger.symbol_turn(aapl):
        1 / 0  # noqa: B018 - any error
    with ledger.symbol_turn(aapl, on_wait=_must_not_wait):
        pass


@pytest.mark.slow
def test_a_turn_excludes_another_process_and_a_killed_one_lets_go(
    database: Database, ledger: Ledger, aapl: UUID, storage_actors: Actors
) -> None:
    holder = storage_actors.begin("hold-turn", database.url, str(aapl))
    # Another symbol's turn is free meanwhile.
    other = type(aapl)(int=1)
    with ledger.symbol_turn(other, on_wait=_must_not_wait):
        pass
    waited = []

    def kill() -> None:
        waited.append(holder.poll())
        holder.kill()

    with ledger.symbol_turn(aapl, on_wait=kill):
        assert waited == [None]


@pytest.mark.slow
def test_a_waiter_whose_connection_is_cut_gets_one_line(
    database: Database, ledger: Ledger, aapl: UUID, storage_actors: Actors
) -> None:
    storage_actors.begin("hold-turn", database.url, str(aapl))

    def cut() -> None:
        with database.connect() as sql:
            sql.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
                " and query like '%%pg_try_advisory_lock%%' and state = 'idle'"
                " order by backend_start desc limit 1"
            )

    with (
        pytest.raises(StorageError, match=r"^database: [^\n]+$"),
        ledger.symbol_turn(aapl, on_wait=cut),
    ):
        pytest.fail("the turn is another's")


def _must_not_wait() -> None:
    pytest.fail("the turn was not free")


def test_reading_a_database_without_our_tables_is_one_line(empty_url: str) -> None:
    from resources.postgres.database import Database as Anywhere

    ledger = Ledger(Anywhere(empty_url, timedelta(0)))
    with pytest.raises(StorageError, match=r"^database: relation .* does not exist$") as caught:
        ledger.session_rows(uuid4(), [LAST])
    assert isinstance(caught.value.__cause__, psycopg.errors.UndefinedTable)
