"""Newest sessions that are asked for again because somebody pressed a button.

One row a symbol: a press opens it, the platform claims it, a run asks once and ends it. The rows
keep it at one request a symbol and minute, over all processes and presses.

What belongs here: the statements about table `rechecks`. What does not: which session is newest
(`swiftbolt_assets/market/hours.py`), asking (`swiftbolt_assets/filling/filler.py`), giving back
what lost runs held (`slices.py`, with all other claims).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from swiftbolt_assets.errors import is_refusal, one_line, wait_told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from resources.postgres.callers import Connection
    from resources.postgres.database import Database
    from swiftbolt_assets.errors import ProviderError

_MESSAGE_LENGTH = 500


@dataclass(frozen=True)
class Recheck:
    """A symbol that a run is to ask for again.

    Attributes:
        claim_id: marks its run.
        symbol: canonical ticker.
        priority: of the run and of its request.

    """

    claim_id: UUID
    symbol: str
    priority: int


@dataclass(frozen=True)
class Outcome:
    """What became of a press.

    Attributes:
        symbol: canonical ticker.
        is_open: it is still to be asked.
        is_answered: an answer about the newest session is stored that came after the press.
        request_s: since the newest request for it was about to be sent or answered, None before.
        error: why the last attempt failed, None without; of one that is not open: a refusal.

    """

    symbol: str
    is_open: bool
    is_answered: bool
    request_s: float | None
    error: str | None

    @property
    def is_refused(self) -> bool:
        """Return whether the provider refuses the symbol; it is not asked again by itself."""
        return not self.is_open and self.error is not None


@dataclass(frozen=True)
class Backlog:
    """What a symbol lacks before today.

    Attributes:
        missing: sessions of its window that are not settled.
        requests: slices that wait or are asked for.

    """

    missing: int
    requests: int


def press(connection: Connection, symbols: Sequence[str], priority: int) -> datetime:
    """Have known symbols asked for again, with a caller's rights; return the database's instant.

    Raises:
        psycopg.Error: there are more than 200.

    """
    row = connection.execute(
        "select recheck_symbols(%s, %s)", (sorted(set(symbols)), priority)
    ).fetchall()[0]
    at: datetime = row[0]
    return at


def outcomes(
    connection: Connection, symbols: Sequence[str], day: date, pressed: datetime
) -> list[Outcome]:
    """Return what became of a press, of the symbols that are known, by name; as the owner.

    Args:
        connection: the owner's.
        symbols: canonical tickers.
        day: the newest session.
        pressed: when, by the database's clock.

    """
    rows = connection.execute(
        _OUTCOMES, {"symbols": list(symbols), "day": day, "pressed": pressed}
    ).fetchall()
    return [Outcome(*row) for row in rows]


def final_outcomes(
    connection: Connection, symbols: Sequence[str], day: date, pressed: datetime
) -> list[tuple[Outcome, Mapping[str, int]]]:
    """Return the same with how many stored bars are new or changed since the press, by timeframe.

    Both are of one moment: no bar is counted whose answer is not told.
    """
    rows = connection.execute(
        _FINAL_OUTCOMES, {"symbols": list(symbols), "day": day, "pressed": pressed}
    ).fetchall()
    return [(Outcome(*row[:-1]), row[-1]) for row in rows]


def backlog(connection: Connection, symbol: str) -> Backlog:
    """Return what a symbol lacks of the window that people want; as the owner."""
    return Backlog(*connection.execute(_BACKLOG, {"symbol": symbol}).fetchall()[0])


class RecheckBook:
    """The platform's side; each call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, *, day: date, is_past: bool, least_priority: int) -> Recheck | None:
        """Take on what was pressed first of the most urgent, None when nothing is due.

        What an answer has settled meanwhile is ended. A symbol that is being filled waits where
        the session is one of the past: the fill asks for it first.

        Args:
            day: the newest session.
            is_past: whether that day is over in New York.
            least_priority: what is less urgent is left.

        """
        values = {
            "claim": uuid4(),
            "day": day,
            "is_past": is_past,
            "least": least_priority,
        }
        with self._database.transaction() as connection:
            connection.execute(_END_ANSWERED, values)
            row = connection.execute(_CLAIM, values).fetchone()
        return Recheck(UUID(str(row[0])), str(row[1]), int(row[2])) if row else None

    def begin(self, claim: UUID, day: date) -> bool:
        """Return whether a claim's request about a session may be sent now.

        Not within a minute of another, nor when an answer has come by another way.
        """
        with self._database.transaction() as connection:
            return connection.execute(_BEGIN, {"claim": claim, "day": day}).rowcount > 0

    def ended(self, claim: UUID) -> None:
        """Note that the answer is stored."""
        with self._database.transaction() as connection:
            connection.execute(_ENDED, (claim,))

    def failed(self, claim: UUID, error: ProviderError) -> None:
        """Note why there is no answer; what passes is asked for again, ever later."""
        values = {
            "claim": claim,
            "error": one_line(error, _MESSAGE_LENGTH),
            "is_final": is_refusal(error),
            "wait": wait_told(error) or 0.0,
        }
        with self._database.transaction() as connection:
            connection.execute(_FAILED, values)


_ANSWERED = """exists (
    select from session_coverage c
     where c.symbol_id = r.symbol_id and c.day = %(day)s and c.checked_at >= r.asked_at)"""
_END_ANSWERED = f"""
update rechecks r set ended_at = clock_timestamp(), request_at = clock_timestamp(), error = null
 where r.ended_at is null and r.claim_id is null and {_ANSWERED}
"""  # noqa: S608 - constants
_CLAIM = """
with chosen as (
  select r.symbol_id, s.ticker, r.priority
    from rechecks r join symbols s on s.id = r.symbol_id
   where r.ended_at is null and r.claim_id is null and r.due_at <= clock_timestamp()
     and r.priority >= %(least)s
     and not (%(is_past)s and exists (
       select from job_runs j
        where j.symbol = s.ticker and j.status in ('queued', 'running')
          and (j.claim_id is not null
            or (%(day)s between j.first_day and j.last_day and j.priority >= %(least)s
              and is_due(j.next_attempt_at, j.next_attempt_market_at)))))
   order by r.priority desc, r.asked_at
   limit 1
     for update of r skip locked
)
update rechecks r set claim_id = %(claim)s, claimed_at = clock_timestamp()
  from chosen c where r.symbol_id = c.symbol_id
returning r.claim_id, c.ticker, c.priority
"""
_BEGIN = f"""
update rechecks r set request_at = clock_timestamp()
 where claim_id = %(claim)s and ended_at is null
   and (request_at is null or request_at <= clock_timestamp() - interval '1 minute')
   and not {_ANSWERED}
"""  # noqa: S608 - constants
_ENDED = """
update rechecks set ended_at = clock_timestamp(), request_at = clock_timestamp(),
  claim_id = null, claimed_at = null, failures = 0, error = null
 where claim_id = %s
"""
_FAILED = """
update rechecks set
  ended_at = case when %(is_final)s then statement_timestamp() end,
  request_at = statement_timestamp(),
  due_at = statement_timestamp() + greatest(
    interval '1 minute', retry_delay(failures + 1), make_interval(secs => %(wait)s)),
  claim_id = null, claimed_at = null, failures = failures + 1, error = %(error)s
 where claim_id = %(claim)s
"""
# Bars and ledger are written in one transaction: whoever sees the answer sees its bars.
_OUTCOME = f"""
select s.ticker, r.ended_at is null,
  case when r.ended_at is null then {_ANSWERED}
    else r.error is null and r.ended_at >= %(pressed)s end,
  extract(epoch from clock_timestamp() - r.request_at)::float8,
  r.error"""  # noqa: S608 - constants
_OF_SYMBOLS = """
  from symbols s join rechecks r on r.symbol_id = s.id
 where s.ticker = any(%(symbols)s)
 order by s.ticker
"""
_CHANGED = """,
  (select coalesce(jsonb_object_agg(timeframe, changed), '{}')
     from (
       select timeframe, count(*) as changed from ohlc_bars_v2
        where symbol_id = s.id and timeframe = any (stored_timeframes()) and not is_forecast
          and updated_at >= %(pressed)s
        group by timeframe) b)"""
_OUTCOMES = _OUTCOME + _OF_SYMBOLS
_FINAL_OUTCOMES = _OUTCOME + _CHANGED + _OF_SYMBOLS
_BACKLOG = """
select
  (select count(*)
     from wanted_symbols w
     join symbols s on s.ticker = w.symbol
     join market_sessions m
       on m.day >= greatest(market_today() - w.window_days, first_fetched_day())
      and m.day < market_today()
     left join session_coverage c on c.symbol_id = s.id and c.day = m.day
    where w.symbol = %(symbol)s and c.state is distinct from 'final'),
  (select count(*) from slices where symbol = %(symbol)s and state <> 'failed')
"""
