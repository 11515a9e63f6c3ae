"""Certificates: what is stored of a symbol as canonical text, and table `certificates`.

Nothing here asks a provider. What belongs here: statements. What does not: what a certificate
states and what has changed since (`swiftbolt_assets/policy/certificate.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from swiftbolt_assets.clock import midnight
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.certificate import (
    KIND,
    Certificate,
    LedgerRow,
    StoredBar,
    content_hash,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from resources.postgres.database import Database
    from swiftbolt_assets.market.sessions import Session


@dataclass(frozen=True)
class Snapshot:
    """What is stored of a window at one instant.

    Attributes:
        at: the instant, real time.
        bars: ascending by timeframe, start and provider.
        ledger: by session date; days that nobody asked for are missing.
        rejected: delivered bars that were not believed, by rule.

    """

    at: datetime
    bars: Sequence[StoredBar]
    ledger: Mapping[date, LedgerRow]
    rejected: Mapping[str, int]


class CertificateBook:
    """Reads what is to be proved, and keeps what was."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def first_day(self, symbol_id: UUID) -> date | None:
        """Return the oldest session that was ever asked for, or None."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "select min(day) from session_coverage where symbol_id = %s", (symbol_id,)
            ).fetchone()
        return row[0] if row else None

    def snapshot(self, symbol_id: UUID, sessions: Sequence[Session]) -> Snapshot:
        """Return what is stored from the first session's day to the last one's."""
        first, last = sessions[0].day, sessions[-1].day
        values = {
            "symbol": symbol_id,
            "first": first,
            "last": last,
            # Whole days: a bar outside its session is to be seen.
            "from": midnight(first),
            "until": sessions[-1].closes,
        }
        with self._database.transaction() as connection:
            connection.execute("set transaction isolation level repeatable read, read only")
            # The shortest text that gives the same number again.
            connection.execute("set local extra_float_digits = 1")
            (at,) = connection.execute("select clock_timestamp()").fetchone() or (None,)
            bars = connection.execute(_BARS, values).fetchall()
            ledger = connection.execute(_LEDGER, values).fetchall()
            rejected = connection.execute(_REJECTED, values).fetchall()
        kinds = {str(timeframe): timeframe for timeframe in Timeframe}
        return Snapshot(
            at=at or sessions[-1].closes,
            bars=[StoredBar(kinds[kind], *rest) for kind, *rest in bars],
            ledger={day: _ledger_row(*rest) for day, *rest in ledger},
            rejected=dict(rejected),
        )

    def newest(self, symbol_id: UUID) -> Certificate | None:
        """Return the certificate that was issued last, or None.

        Raises:
            SwiftBoltError: it is damaged.

        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "select document::text from certificates where symbol_id = %s"
                " order by id desc limit 1",
                (symbol_id,),
            ).fetchone()
        return read_certificate(row[0].encode(), "the stored certificate") if row else None

    def keep(self, symbol_id: UUID, certificate: Certificate) -> None:
        """Store a certificate."""
        with self._database.transaction() as connection:
            connection.execute(
                "insert into certificates"
                " (symbol_id, issued_at, first_day, last_day, content_hash, document)"
                " values (%s, %s, %s, %s, %s, %s::jsonb)",
                (
                    symbol_id,
                    certificate.issued_at,
                    certificate.first,
                    certificate.last,
                    certificate.content_hash,
                    msgspec.json.encode(certificate).decode(),
                ),
            )

    def verified(self, symbol_id: UUID, certificate: Certificate) -> None:
        """Note that a certificate still holds."""
        with self._database.transaction() as connection:
            connection.execute(
                "update certificates set verified_at = clock_timestamp()"
                " where symbol_id = %s and issued_at = %s and content_hash = %s",
                (symbol_id, certificate.issued_at, certificate.content_hash),
            )


def read_certificate(raw: bytes, what: str) -> Certificate:
    """Return a certificate from JSON; `what` names it in errors.

    Raises:
        SwiftBoltError: it is none, or its parts contradict each other.

    """
    try:
        certificate = msgspec.json.decode(raw, type=Certificate)
    except msgspec.DecodeError as error:
        raise SwiftBoltError(f"{what} is no certificate of swiftbolt: {error}") from None
    if certificate.kind != KIND:
        raise SwiftBoltError(f"{what} is of another kind: {certificate.kind}")
    days = [day.day for day in certificate.days]
    if content_hash(certificate.days) != certificate.content_hash or not days:
        raise SwiftBoltError(f"{what} was changed: its hash does not fit its sessions")
    return certificate


def _ledger_row(
    state: str,
    reason: str | None,
    absences: Mapping[str, str],
    provider: str | None,
    request_id: str | None,
    checked_at: datetime | None,
) -> LedgerRow:
    slots = {datetime.fromisoformat(at): why for at, why in absences.items()}
    return LedgerRow(state, reason, slots, provider, request_id, checked_at)


_BARS = """
select timeframe::text, ts, provider::text,
  concat_ws('|', timeframe, extract(epoch from ts)::bigint, provider, open, high, low, close,
    volume, coalesce(vwap::text, '-'), coalesce(trade_count::text, '-'))
from ohlc_bars_v2
where symbol_id = %(symbol)s and timeframe = any (stored_timeframes()) and not is_forecast
  and ts >= %(from)s and ts < %(until)s
order by timeframe, ts, provider
"""
_LEDGER = """
select day, state, reason, absences, provider::text, request_id, checked_at
from session_coverage where symbol_id = %(symbol)s and day between %(first)s and %(last)s
"""
# A rejected bar may have no usable instant.
_REJECTED = """
select rule, count(*) from rejected_bars
where symbol_id = %(symbol)s and (ts is null or (ts >= %(from)s and ts < %(until)s))
group by rule order by rule
"""
