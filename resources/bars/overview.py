"""What is stored, absent, refused and asked for: the statements behind `status` and `coverage`.

What belongs here: read-only statements for people. What does not: the ledger's own (`ledger.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.bars.session_write import Replaced

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from resources.postgres.database import Database


@dataclass(frozen=True)
class SymbolOverview:
    """One symbol's sessions in the ledger.

    Attributes:
        symbol: canonical ticker.
        name: as the list of tickers has it, empty where nobody has told it.
        first: oldest session in the ledger, None when there is none.
        last: newest session in the ledger.
        final: settled sessions.
        unsettled: sessions to be asked for again.
        provisional: sessions still trading, or not yet replaced by history.
        bars: stored 15-minute bars.
        unconfirmed: quarter hours without a bar that are in doubt.

    """

    symbol: str
    name: str
    first: date | None
    last: date | None
    final: int
    unsettled: int
    provisional: int
    bars: int
    unconfirmed: int


@dataclass(frozen=True)
class RequestOverview:
    """A provider's requests of the last hour.

    Attributes:
        provider: its name.
        last_minute: sent in the last 60 seconds.
        last_hour: sent in the last hour.
        failed: of these, those that were not answered well.
        last_failure: outcome of the newest failed one, None without.

    """

    provider: str
    last_minute: int
    last_hour: int
    failed: int
    last_failure: str | None


@dataclass(frozen=True)
class SessionRow:
    """One session of a symbol in the ledger.

    Attributes:
        day: New York date.
        state: `final`, `open` or `provisional`; `not_fetched` when the ledger has no row.
        reason: why it has no bar, None when it has one or is not fetched.
        expected: quarter hours.
        bars: stored 15-minute bars.
        absences: start of each quarter hour without a bar -> reason.
        unconfirmed: quarter hours without a bar that are in doubt.
        ask_again_at: when the provider is asked once more, on the market clock; None for never.
        marks: start of each bar that was hard to believe until it came twice -> rule.
        provider: who answered, None when nobody has.
        checked_at: when, None when nobody has.

    """

    day: date
    state: str
    reason: str | None
    expected: int
    bars: int
    absences: Mapping[str, str]
    unconfirmed: int
    ask_again_at: datetime | None
    marks: Mapping[str, str]
    provider: str | None
    checked_at: datetime | None


def symbol_overviews(database: Database, symbol: str | None) -> list[SymbolOverview]:
    """Return all symbols, or one, by ticker."""
    with database.transaction() as connection:
        rows = connection.execute(
            "select s.ticker, coalesce(s.description, ''),"
            " c.first, c.last, coalesce(t.final, 0), coalesce(t.unsettled, 0),"
            " coalesce(t.provisional, 0), coalesce(t.bars, 0), coalesce(u.unconfirmed, 0)"
            " from symbols s left join session_totals t on t.symbol_id = s.id"
            " cross join lateral (select min(c.day) as first, max(c.day) as last"
            "   from session_coverage c where c.symbol_id = t.symbol_id) c"
            " cross join lateral (select sum(u.unconfirmed)::bigint as unconfirmed"
            "   from session_coverage u where u.symbol_id = t.symbol_id and u.unconfirmed > 0) u"
            " where %s::text is null or s.ticker = %s order by 1",
            (symbol, symbol),
        ).fetchall()
    return [SymbolOverview(*row) for row in rows]


def request_overviews(database: Database) -> list[RequestOverview]:
    """Return each provider's requests of the last hour, real time."""
    with database.transaction() as connection:
        rows = connection.execute(_REQUESTS).fetchall()
    return [RequestOverview(*row) for row in rows]


def session_rows(
    database: Database, symbol_id: UUID, first: date, last: date
) -> Sequence[SessionRow]:
    """Return a symbol's sessions from `first` to `last`, those that nobody asked for included."""
    with database.transaction() as connection:
        rows = connection.execute(
            "select m.day, coalesce(c.state, 'not_fetched'), c.reason,"
            " coalesce(c.expected, (extract(epoch from m.closes - m.opens) / 900)::int),"
            " coalesce(c.bars, 0), coalesce(c.absences, '{}'), coalesce(c.unconfirmed, 0),"
            " c.ask_again_at, coalesce(c.marks, '{}'), c.provider::text, c.checked_at"
            " from market_sessions m"
            " left join session_coverage c on c.day = m.day and c.symbol_id = %s"
            " where m.day between %s and %s order by m.day",
            (symbol_id, first, last),
        ).fetchall()
    return [SessionRow(*row) for row in rows]


def timeframe_rows(
    database: Database, symbol_id: UUID, timeframe: str
) -> tuple[int, datetime | None, datetime | None]:
    """Return how many bars a symbol has of a timeframe, and the first and last start."""
    with database.transaction() as connection:
        row = connection.execute(
            "select count(distinct ts), min(ts), max(ts) from ohlc_bars_v2"
            " where symbol_id = %s and timeframe = %s::timeframe and not is_forecast",
            (symbol_id, timeframe),
        ).fetchone()
    return (row[0], row[1], row[2]) if row else (0, None, None)


def replaced_days(database: Database, symbol_id: UUID) -> list[Replaced]:
    """Return what replacing a symbol's live bars by history showed, oldest day first."""
    with database.transaction() as connection:
        rows = connection.execute(
            "select day, live_bars, history_bars, differing, max_price_difference,"
            " max_volume_difference from finalizations where symbol_id = %s order by day",
            (symbol_id,),
        ).fetchall()
    return [Replaced(*row) for row in rows]


def rejects_by_rule(database: Database, symbol_id: UUID) -> dict[str, int]:
    """Return how many of a symbol's bars were rejected, by rule."""
    with database.transaction() as connection:
        rows = connection.execute(
            "select rule, count(*) from rejected_bars where symbol_id = %s group by 1 order by 1",
            (symbol_id,),
        ).fetchall()
    return {str(rule): count for rule, count in rows}


def data_source(database: Database) -> str | None:
    """Return whether the database holds `simulated` or `real` bars, None before the first."""
    with database.transaction() as connection:
        row = connection.execute(
            "select value from installation where name = 'data_source'"
        ).fetchone()
    return str(row[0]) if row else None


# Not clock_timestamp(): no index serves what changes from row to row.
_REQUESTS = """
select provider, count(*) filter (where sent_at > now() - interval '1 minute'),
  count(*), count(*) filter (where outcome <> 'ok'),
  (array_agg(outcome order by id desc) filter (where outcome <> 'ok'))[1]
from provider_requests
where sent_at > now() - interval '1 hour'
group by provider order by provider
"""
