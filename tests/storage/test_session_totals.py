"""Totals of the ledger: whatever writes it, in whatever order, they are what a count finds."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.bars.overview import SymbolOverview, symbol_overviews
from resources.bars.symbols import ensure_symbols

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from resources.postgres.database import Connection, Database

TICKERS = ("AAPL", "MSFT", "NVDA")
STATES = ("final", "open", "provisional")
SUM = (
    "select symbol_id, count(*) filter (where state = 'final'),"
    " count(*) filter (where state = 'open'),"
    " count(*) filter (where state = 'provisional'), sum(bars)"
    " from session_coverage group by 1 order by 1"
)
#: A symbol whose sessions were all deleted keeps its row, of zeros.
TOTALS = (
    "select symbol_id, final, unsettled, provisional, bars from session_totals"
    " where (final, unsettled, provisional, bars) <> (0, 0, 0, 0) order by 1"
)
#: Of each day a bar count of its own, so that no two mistakes cancel each other.
PUT = """
insert into session_coverage
  (symbol_id, day, state, reason, expected, bars, answers, provider, settled_at)
select s, date '2026-10-01' + d, %(state)s, case when %(bars)s * d = 0 then 'no_trade' end, 900,
  %(bars)s * d, 1, 'polygon', case when %(state)s = 'final' then clock_timestamp() end
  from unnest(%(symbols)s::uuid[]) s cross join unnest(%(days)s::integer[]) d
on conflict (symbol_id, day) do update set state = excluded.state, reason = excluded.reason,
  bars = excluded.bars, settled_at = excluded.settled_at
"""
HERE = "symbol_id = any(%(symbols)s) and day - date '2026-10-01' = any(%(days)s)"
WRITES = {
    "put": PUT,
    "delete": f"delete from session_coverage where {HERE}",
    "change": f"update session_coverage set state = %(state)s, settled_at = case"
    f" when %(state)s = 'final' then clock_timestamp() end where {HERE}",
    "touch": f"update session_coverage set answers = answers + 1 where {HERE}",
    "replace": f"merge into session_coverage c using unnest(%(days)s::integer[]) d"
    f" on {HERE} and c.day = date '2026-10-01' + d when matched then delete",
    "move": "update session_coverage set symbol_id = %(other)s, day = day + 1000"
    " where symbol_id = any(%(symbols)s) and day - date '2026-10-01' = any(%(days)s)"
    " and symbol_id <> %(other)s and not exists (select from session_coverage x"
    " where x.symbol_id = %(other)s and x.day = session_coverage.day + 1000)"
    " and cardinality(%(symbols)s::uuid[]) = 1",
    "late": f"with late as (update session_coverage set ask_again_at = '2026-01-01' where {HERE})"
    " select 1",
    "plan": "select plan_doubted_sessions()",
    "forget": "delete from symbols where id = any(%(symbols)s)",
    "truncate": "truncate session_coverage",
}
#: What is rare in life is rare here, else the ledger is always empty.
OFTEN = ("put",) * 6 + ("change",) * 4 + ("delete", "touch", "late", "plan", "replace", "move")
writes = st.tuples(
    st.sampled_from(OFTEN * 2 + ("forget", "truncate")),
    st.lists(st.sampled_from(TICKERS), min_size=1, unique=True),
    st.lists(st.integers(0, 9), min_size=1, unique=True),
    st.sampled_from(STATES),
    st.integers(0, 26),
)
#: Statements of one transaction, and whether it is rolled back.
transactions = st.lists(
    st.tuples(st.lists(writes, min_size=1, max_size=4), st.booleans()), max_size=8
)


def totals(connection: Connection) -> list[tuple[Any, ...]]:
    """Return the totals, which are what a count finds."""
    stored = connection.execute(TOTALS).fetchall()
    counted = connection.execute(SUM).fetchall()
    assert [row for row in counted if any(row[1:])] == stored
    return stored


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=transactions)
def test_totals_equal_a_count_after_any_writes_deletes_and_rollbacks(
    database: Database, steps: Sequence[tuple[Sequence[tuple[Any, ...]], bool]]
) -> None:
    with database.connect() as sql:
        for statements, rolled_back in steps:
            with sql.transaction(force_rollback=rolled_back):
                for what, tickers, days, state, bars in statements:
                    ids = ensured(sql)
                    values = {
                        "symbols": [ids[ticker] for ticker in tickers],
                        "other": ids["NVDA"],
                        "days": days,
                        "state": state,
                        "bars": bars,
                    }
                    sql.execute(WRITES[what].encode(), values)
                    totals(sql)
            totals(sql)


def ensured(sql: Connection) -> dict[str, UUID]:
    sql.execute(
        "insert into symbols (ticker) select unnest(%s::text[]) on conflict do nothing",
        (list(TICKERS),),
    )
    rows = sql.execute("select ticker, id from symbols where ticker = any(%s)", (list(TICKERS),))
    return dict(rows.fetchall())


def test_writers_of_all_symbols_at_once_lose_no_session(database: Database) -> None:
    ids = list(ensure_symbols(database, TICKERS).values())
    failures: list[psycopg.Error] = []

    def write(number: int) -> None:
        with database.connect() as sql:
            for turn in range(40):
                values = {
                    "symbols": ids if turn % 2 else ids[::-1],
                    # Days of its own: two writers' rows never make them wait, the totals do.
                    "days": [number * 10 + (turn * 7 + n) % 10 for n in range(3)],
                    "state": STATES[turn % 3],
                    "bars": turn % 20,
                }
                what = ("put", "change", "put", "delete", "touch")[turn % 5]
                try:
                    with sql.transaction(force_rollback=turn % 7 == 3):
                        sql.execute(WRITES[what].encode(), values)
                except psycopg.Error as error:
                    failures.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failures
    with database.connect() as sql:
        assert totals(sql)


def test_an_open_write_of_one_symbol_holds_up_no_other(database: Database) -> None:
    ids = ensure_symbols(database, TICKERS)
    values = {"days": [1, 2], "state": "final", "bars": 3}
    with database.connect() as first, database.connect() as second:
        with first.transaction():
            first.execute(PUT, values | {"symbols": [ids["AAPL"]]})
            second.execute("set lock_timeout = '1ms'")
            second.execute(PUT, values | {"symbols": [ids["MSFT"]]})
            assert {row[0] for row in totals(second)} == {ids["MSFT"]}
        assert [row[1] for row in totals(second)] == [2, 2]


def test_status_tells_each_symbols_first_and_last_session_and_totals(database: Database) -> None:
    ids = ensure_symbols(database, ["AAPL", "MSFT"])
    with database.connect() as sql:
        for days, state in (([3], "open"), ([1, 2], "final"), ([4], "provisional")):
            sql.execute(PUT, {"symbols": [ids["AAPL"]], "days": days, "state": state, "bars": 2})
        first, last = sql.execute("select min(day), max(day) from session_coverage").fetchall()[0]
    aapl = SymbolOverview("AAPL", "", first, last, 2, 1, 1, 20, 0)
    assert symbol_overviews(database, None) == [
        aapl, SymbolOverview("MSFT", "", None, None, 0, 0, 0, 0, 0)
    ]  # fmt: skip
    assert symbol_overviews(database, "AAPL") == [aapl]


def test_a_ledger_that_was_written_without_triggers_is_counted_anew(database: Database) -> None:
    ids = ensure_symbols(database, TICKERS)
    values = {"days": [1, 2], "state": "final", "bars": 3}
    recount = "select recount_session_totals()"
    with database.connect() as sql:
        sql.execute(PUT, values | {"symbols": [ids["AAPL"], ids["NVDA"]]})
        assert sql.execute(recount).fetchall() == [(0,)]
        sql.execute("set session_replication_role = replica")
        sql.execute(PUT, values | {"symbols": [ids["MSFT"]]})
        sql.execute("delete from session_coverage where symbol_id = %s", (ids["NVDA"],))
        sql.execute("set session_replication_role = origin")
        with pytest.raises(AssertionError):
            totals(sql)
        assert sql.execute(recount).fetchall() == [(2,)]
        totals(sql)
