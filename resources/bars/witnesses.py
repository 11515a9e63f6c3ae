"""What others than the provider that left them out know of quarter hours without a bar.

Other symbols tell whether the exchange and the provider were at work; another provider's bars tell
whether this symbol traded. What belongs here: these statements, and the ledger's rows that are in
doubt. What does not: what the evidence makes of them (`swiftbolt_assets/market/doubt.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from resources.bars.ledger import COVERAGE_COLUMNS, coverage_of
from resources.bars.session_rows import coverage_json
from resources.providers.registry import HISTORY, TODAY
from swiftbolt_assets.market.doubt import NEIGHBOURS_REACH, SMALL_BARS, Elsewhere, traded_from
from swiftbolt_assets.market.overlap import WAITING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date, datetime

    from resources.postgres.database import Database
    from swiftbolt_assets.market.coverage import SessionCoverage
    from swiftbolt_assets.market.sessions import Session

#: The densest symbols tell best; more of them tell the same.
_OTHERS = 50
#: Twenty sessions' quarter hours; what is older in a long silence waits for time alone.
_MOST_SLOTS = 520
_MOST_ROWS = 200


@dataclass(frozen=True)
class Doubted:
    """A settled session of which something is in doubt.

    Attributes:
        symbol_id: whose.
        row: what the ledger says.
        version: what the row must still be when it is changed.

    """

    symbol_id: UUID
    row: SessionCoverage
    version: str


@dataclass(frozen=True)
class Seen:
    """What another provider has of a symbol: starts of its bars -> shares.

    Attributes:
        asked: by date, where it was asked about the session; None where it was not.
        live: stored live bars that history has not replaced.
        least: so many shares make a bar of history; fewer may have been odd lots.

    """

    asked: Mapping[date, Mapping[datetime, float] | None]
    live: Mapping[datetime, float]
    least: float

    @property
    def traded_live(self) -> frozenset[datetime]:
        """Return the starts of live bars that are no odd lots."""
        return frozenset(at for at, shares in self.live.items() if shares >= self.least)


class Witnesses:
    """Reads what others know; one short transaction a call."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def seen(
        self,
        symbol_id: UUID,
        sessions: Sequence[Session],
        asked: Mapping[date, Mapping[datetime, float] | None],
    ) -> Seen:
        """Return what another provider has of some sessions, ascending.

        Args:
            symbol_id: whose they are.
            sessions: which.
            asked: what it has by date, where it was asked.

        """
        opens, closes = sessions[0].opens, sessions[-1].closes
        reach = (opens - NEIGHBOURS_REACH, closes + NEIGHBOURS_REACH)
        around = (SMALL_BARS, symbol_id, *reach, HISTORY.name)
        small = None
        with self._database.transaction() as connection:
            live = dict(
                connection.execute(_LIVE, (symbol_id, opens, closes, TODAY.name)).fetchall()
            )
            if (live or any(asked.get(s.day) for s in sessions)) and (
                row := connection.execute(_SMALL, around).fetchone()
            ):
                small = row[0]
        return Seen(asked, live, traded_from(small))

    def unbelieved(self, symbol_id: UUID, sessions: Sequence[Session]) -> frozenset[datetime]:
        """Return the starts of bars of history that were delivered once, and not believed."""
        reach = (sessions[0].opens, sessions[-1].closes)
        values = (symbol_id, *reach, list(WAITING), HISTORY.name)
        with self._database.transaction() as connection:
            return frozenset(row[0] for row in connection.execute(_UNBELIEVED, values).fetchall())

    def earliest(self, symbol_id: UUID) -> datetime | None:
        """Return the open of the symbol's earliest session with a bar, None without any."""
        with self._database.transaction() as connection:
            row = connection.execute(_EARLIEST, (symbol_id,)).fetchone()
        return row[0] if row else None

    def elsewhere(
        self,
        symbol_id: UUID,
        doubted: Mapping[Session, Collection[datetime]],
        seen: Seen,
        unbelieved: Collection[datetime],
    ) -> Elsewhere:
        """Return what others know of a symbol's quarter hours in doubt.

        Args:
            symbol_id: whose they are.
            doubted: by session.
            seen: what another provider has.
            unbelieved: starts of bars that were delivered and not believed.

        """
        shares = dict(seen.live)
        agreed: set[datetime] = set()
        for session, slots in doubted.items():
            there = seen.asked.get(session.day)
            of_session = {at for at in seen.live if session.opens <= at < session.closes}
            if there is not None:
                shares |= {at: max(n, shares.get(at, 0.0)) for at, n in there.items()}
                agreed.update(slot for slot in slots if slot not in there)
            elif of_session:
                # It was looked at before and after: then it saw what lies between.
                first, last = min(of_session), max(of_session)
                agreed.update(slot for slot in slots if first < slot < last)
        starts = sorted((slot for slots in doubted.values() for slot in slots), reverse=True)
        return Elsewhere(
            traded=self._traded(symbol_id, starts[:_MOST_SLOTS]),
            contradicted=frozenset(at for at, n in shares.items() if n >= seen.least),
            agreed=frozenset(agreed - shares.keys()),
            delivered=frozenset(unbelieved),
            small=frozenset(at for at, n in shares.items() if n < seen.least),
        )

    def _traded(self, symbol_id: UUID, slots: Sequence[datetime]) -> frozenset[datetime]:
        """Return those of some instants at which other symbols have bars."""
        if not slots:
            return frozenset()
        values = (symbol_id, _OTHERS, list(slots), HISTORY.name)
        with self._database.transaction() as connection:
            return frozenset(row[0] for row in connection.execute(_TRADED, values).fetchall())

    def doubted(self, symbol_id: UUID, since: date) -> list[Doubted]:
        """Return a symbol's settled sessions in doubt from a date on, oldest first."""
        return self._rows(_OF_SYMBOL, (symbol_id, since))

    def doubted_beside(self, symbol_id: UUID) -> list[Doubted]:
        """Return other symbols' sessions in doubt on days of which this symbol has bars."""
        return self._rows(_BESIDE, (symbol_id, symbol_id, _MOST_ROWS))

    def bars(self, symbol_id: UUID, session: Session) -> frozenset[datetime]:
        """Return the starts of the stored 15-minute bars of history of a session."""
        with self._database.transaction() as connection:
            values = (symbol_id, session.opens, session.closes, HISTORY.name)
            rows = connection.execute(_BARS, values).fetchall()
        return frozenset(row[0] for row in rows)

    def store(self, doubted: Doubted, row: SessionCoverage) -> bool:
        """Change a row of the ledger unless an answer has changed it since; return whether."""
        with self._database.transaction() as connection:
            done = connection.execute(
                _STORE, (coverage_json([row]), doubted.symbol_id, row.day, doubted.version)
            )
            return done.rowcount == 1

    def _rows(self, statement: str, values: Sequence[object]) -> list[Doubted]:
        with self._database.transaction() as connection:
            rows = connection.execute(statement.encode(), values).fetchall()
        return [Doubted(UUID(str(row[0])), coverage_of(row[2:]), str(row[1])) for row in rows]


_TRADED = """
select distinct b.ts
from (
  select symbol_id from session_totals t
   where t.symbol_id <> %s order by t.bars desc limit %s) o
cross join unnest(%s::timestamptz[]) k (ts)
join ohlc_bars_v2 b on b.symbol_id = o.symbol_id and b.timeframe = 'm15' and b.ts = k.ts
 and b.provider = %s and not b.is_forecast
"""
_LIVE = """
select ts, volume from ohlc_bars_v2
where symbol_id = %s and timeframe = 'm15' and ts >= %s and ts < %s and provider = %s
 and not is_forecast
"""
_SMALL = """
select percentile_cont(%s) within group (order by volume) from ohlc_bars_v2
where symbol_id = %s and timeframe = 'm15' and ts >= %s and ts < %s and provider = %s
 and not is_forecast
"""
_UNBELIEVED = """
select ts from rejected_bars
where symbol_id = %s and ts >= %s and ts < %s and rule = any(%s) and provider = %s
"""
_EARLIEST = """
select min(m.opens) from session_coverage c join market_sessions m using (day)
where c.symbol_id = %s and c.bars > 0
"""
_BARS = """
select ts from ohlc_bars_v2
where symbol_id = %s and timeframe = 'm15' and ts >= %s and ts < %s and provider = %s
 and not is_forecast
"""
_ROWS = f"select c.symbol_id, c.xmin::text, {COVERAGE_COLUMNS} from session_coverage c"  # noqa: S608 - constants only
_OF_SYMBOL = f"""
{_ROWS} where c.symbol_id = %s and c.day >= %s and c.unconfirmed > 0 and c.state = 'final'
order by c.day
"""
_BESIDE = f"""
{_ROWS}
where c.symbol_id <> %s and c.unconfirmed > 0 and c.bars > 0 and c.state = 'final'
  and exists (
    select from session_coverage m where m.symbol_id = %s and m.day = c.day and m.bars > 0)
order by c.day desc limit %s
"""
_STORE = """
update session_coverage c set
  reason = r.reason, absences = r.absences, unconfirmed = r.unconfirmed,
  ask_again_at = r.again_at, doubted_at = r.doubted_at, witness = nullif(r.witness, 'null'),
  checked_at = clock_timestamp()
  from jsonb_to_recordset(%s::jsonb) r (reason text, absences jsonb, unconfirmed int,
    again_at timestamptz, doubted_at timestamptz, witness jsonb)
 where c.symbol_id = %s and c.day = %s and c.xmin::text = %s
"""
