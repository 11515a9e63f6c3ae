"""What a write leaves beside the bars: the coverage ledger's rows and the rejected bars.

Statements of the transaction that `store.py` opens. Rows go as one JSON parameter: one round trip
for all of them.

What belongs here: writing these rows. What does not: reading them (`ledger.py`), judging them
(`swiftbolt_assets/market/coverage.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from psycopg import Connection

    from resources.bars.session_write import SessionsWrite
    from swiftbolt_assets.market.coverage import SessionCoverage


def write_coverage(connection: Connection[Any], write: SessionsWrite) -> None:
    """Store the ledger's rows and how far each timeframe reaches; settle slices and questions."""
    if not write.coverage:
        return
    connection.execute(
        _COVERAGE,
        {
            "symbol": write.symbol_id,
            "provider": write.provider,
            "request": write.request_id,
            "rows": coverage_json(write.coverage),
            "stored": json.dumps({str(name): bars.height for name, bars in write.bars.items()}),
        },
    )
    days = [row.day for row in write.coverage]
    connection.execute(
        "select settle_slices(%(symbol)s, %(first)s, %(last)s, %(provider)s),"
        " delisted_answered(%(symbol)s, %(last)s, %(provider)s)",
        {
            "symbol": write.symbol_id,
            "first": min(days),
            "last": max(days),
            "provider": write.provider,
        },
    )


def write_rejects(connection: Connection[Any], write: SessionsWrite) -> None:
    """Store the rejected bars."""
    if write.rejects.is_empty():
        return
    connection.execute(
        _REJECTS,
        {
            "symbol": write.symbol_id,
            "provider": write.provider,
            "request": write.request_id,
            "rows": json.dumps(
                [
                    {**row, "ts": row["ts"] and row["ts"].isoformat()}
                    for row in write.rejects.iter_rows(named=True)
                ]
            ),
        },
    )


def _by_start(values: Mapping[datetime, Any] | None) -> dict[str, Any] | None:
    return None if values is None else {at.isoformat(): value for at, value in values.items()}


def coverage_json(rows: Iterable[SessionCoverage]) -> str:
    """Return rows of the ledger as the JSON that its statements read."""
    return json.dumps([_coverage_row(row) for row in rows])


def _coverage_row(row: SessionCoverage) -> dict[str, Any]:
    return {
        "day": row.day.isoformat(),
        "state": row.state,
        "reason": row.reason,
        "expected": row.expected,
        "bars": row.bars,
        "answers": row.answers,
        "absences": _by_start(row.absences),
        "unconfirmed": row.unconfirmed,
        "again_at": row.again_at and row.again_at.isoformat(),
        "doubted_at": row.doubted_at and row.doubted_at.isoformat(),
        "witness": _by_start(row.witness),
        "marks": _by_start(row.marks),
    }


_COVERAGE = """
with given as materialized (
  select * from jsonb_to_recordset(%(rows)s::jsonb) r
    (day date, state text, reason text, expected int, bars int, answers int, absences jsonb,
      unconfirmed int, again_at timestamptz, doubted_at timestamptz, witness jsonb, marks jsonb)
), ledger as (
  insert into session_coverage
    (symbol_id, day, state, reason, expected, bars, answers, absences, provider, request_id,
     settled_at, unconfirmed, ask_again_at, doubted_at, witness, marks)
  select %(symbol)s, day, state, reason, expected, bars, answers, absences,
    %(provider)s::data_provider, %(request)s::text,
    case when state = 'final' then clock_timestamp() end,
    unconfirmed, again_at, doubted_at, nullif(witness, 'null'), marks
  from given
  on conflict (symbol_id, day) do update set
    state = excluded.state, reason = excluded.reason, expected = excluded.expected,
    bars = excluded.bars, answers = excluded.answers, absences = excluded.absences,
    provider = excluded.provider, request_id = excluded.request_id,
    settled_at = excluded.settled_at, unconfirmed = excluded.unconfirmed,
    ask_again_at = excluded.ask_again_at, doubted_at = excluded.doubted_at,
    witness = excluded.witness, marks = excluded.marks, checked_at = clock_timestamp()
), listed_earlier as (
  -- A bar before them: they are not before the listing, and what lies before it rested on that.
  update session_coverage c set
    reason = 'unconfirmed', unconfirmed = c.expected, checked_at = clock_timestamp(),
    doubted_at = market_now(), ask_again_at = market_now()
   where c.symbol_id = %(symbol)s and c.reason = 'not_listed'
     and not exists (select from given g where g.day = c.day)
     and (select min(day) from given where bars > 0) < (
       select max(n.day) from session_coverage n
        where n.symbol_id = %(symbol)s and n.reason = 'not_listed'
          and not exists (select from given g where g.day = n.day))
)
insert into coverage_status as c
  (symbol, timeframe, from_ts, to_ts, last_success_at, last_rows_written, last_provider)
select y.ticker, t.timeframe::timeframe, min(m.opens), max(m.closes), clock_timestamp(),
  t.stored::int, %(provider)s::text
from given g join market_sessions m using (day)
cross join jsonb_each_text(%(stored)s::jsonb) t (timeframe, stored)
cross join symbols y
where y.id = %(symbol)s and g.bars > 0
group by y.ticker, t.timeframe, t.stored
on conflict (symbol, timeframe) do update set
  from_ts = least(c.from_ts, excluded.from_ts), to_ts = greatest(c.to_ts, excluded.to_ts),
  last_success_at = excluded.last_success_at, last_rows_written = excluded.last_rows_written,
  last_provider = excluded.last_provider
"""

_REJECTS = """
insert into rejected_bars (symbol_id, provider, ts, rule, value, bar, request_id)
select %(symbol)s, %(provider)s::data_provider, ts, rule, value, bar::jsonb, %(request)s::text
from jsonb_to_recordset(%(rows)s::jsonb) r (ts timestamptz, rule text, value text, bar text)
"""
