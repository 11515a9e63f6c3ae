"""One symbol's part of a run: past sessions filled, today refreshed, every day reported.

What belongs here: which of the asked days goes where, and the metadata of each report. What does
not: the steps themselves (`filling/filler.py`, `filling/today.py`, `filling/rederive.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.bars.live import LiveBook
from resources.bars.witnesses import Witnesses
from resources.queue.rechecks import RecheckBook
from swiftbolt_assets.assets.partitions import BarKey
from swiftbolt_assets.dagster_private.reporting import report_sessions
from swiftbolt_assets.filling.doubts import Doubts
from swiftbolt_assets.filling.filler import Filler
from swiftbolt_assets.filling.rederive import rebuild
from swiftbolt_assets.filling.today import refresh_today
from swiftbolt_assets.market.coverage import State
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.freshness import closed_through

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import date
    from uuid import UUID

    import dagster as dg

    from resources.sources import Source
    from resources.storage import Storage
    from swiftbolt_assets.dagster_private.reporting import RawMetadataValue
    from swiftbolt_assets.filling.filler import Filled
    from swiftbolt_assets.filling.target import Target
    from swiftbolt_assets.market.coverage import SessionCoverage
    from swiftbolt_assets.market.sessions import Session
    from swiftbolt_assets.policy.shards import Shard

    Rows = Mapping[tuple[Timeframe, date], int]


@dataclass(frozen=True)
class Cost:
    """What stored answers cost: HTTP requests, and seconds from asking to committed."""

    requests: float = 0.0
    seconds: float = 0.0

    def plus(self, filled: Filled) -> Cost:
        """Return the cost with one more answer."""
        return Cost(self.requests + filled.requests, self.seconds + filled.seconds)

    def share(self, sessions: int) -> Cost:
        """Return the part of one of so many sessions."""
        return Cost(self.requests / sessions, self.seconds / sessions) if sessions else Cost()


@dataclass(frozen=True)
class SymbolRun:
    """What one symbol's part of a run works with.

    `recheck` is the claim of one that asks once, because somebody pressed a button.
    """

    context: dg.AssetExecutionContext
    shard: Shard
    target: Target
    storage: Storage
    history: Source
    live: Source
    force: bool
    probe: bool
    recheck: UUID | None = None

    def execute(self, days: Sequence[date]) -> list[date]:
        """Fill and report the asked days; return the past sessions among them, ascending.

        Raises:
            SwiftBoltError: a provider or the database does not answer; what was reported is
                stored.

        """
        today = self.storage.clock.today()
        sessions = [
            s for day in sorted(days) if (s := self.storage.calendar.session(day)) is not None
        ]
        past = [session for session in sessions if session.day < today]
        if self.recheck is None:
            with self._turn():
                self._serve(past)
            for session in sessions:
                if session.day == today:
                    self._refresh(session)
        elif past:
            with self._turn():
                self._ask_once(self.recheck, past[-1].day, lambda: self._fill(past))
        else:
            # A fill of its history is no reason for today to wait.
            newest = sessions[-1]
            self._ask_once(self.recheck, newest.day, lambda: self._refresh(newest))
        idle = sorted(set(days) - {session.day for session in sessions if session.day <= today})
        self._report_idle(idle)
        return [session.day for session in past]

    def _turn(self) -> AbstractContextManager[None]:
        return self.storage.ledger.symbol_turn(self.target.symbol_id, self._waiting)

    def _ask_once(self, claim: UUID, day: date, ask: Callable[[], None]) -> None:
        """Ask, unless that was done a moment ago: then the claim waits to be released."""
        book = RecheckBook(self.storage.database)
        if book.begin(claim, day):
            ask()
            book.ended(claim)
        else:
            self.context.log.info(f"{self.target.symbol}: asked a moment ago already")

    def _serve(self, past: Sequence[Session]) -> None:
        if not past:
            return
        if self.shard.asset(Timeframe.M15) in self._selected():
            self._fill(past)
        else:
            rebuild(self.target, past, self.storage.bars)
            self._report(past, self._stored(past), {})

    def _fill(self, past: Sequence[Session]) -> None:
        ledger = self.storage.ledger
        known = ledger.coverage(self.target.symbol_id, past[0].day, past[-1].day)
        now = self.storage.clock.now()
        settled = [s for s in past if s.day in known and known[s.day].is_settled(now)]
        if not self.force:
            self._report(settled, self._stored(settled), known)
            past = [session for session in past if session not in settled]
        if not past:
            self.context.log.info(f"{self.target.symbol}: nothing to ask, all is stored")
            return
        filler = Filler(
            self.history.open(self.storage, probe=self.probe, single=self.recheck is not None),
            self.storage.bars,
            ledger,
            self.storage.calendar,
        )
        by_day = {session.day: session for session in past}
        cost = Cost()
        once = self.recheck is not None
        for filled in filler.fill(self.target, past, now=now, force=self.force, once=once):
            self._log(filled)
            cost = cost.plus(filled)
            # What must be asked again is not done, and is reported once it is.
            # Sessions that were only looked at once more are no partitions of this run.
            coverage = {
                row.day: row
                for row in filled.coverage
                if row.state is State.FINAL and row.day in by_day
            }
            if coverage:
                sessions = [by_day[day] for day in coverage]
                self._report(sessions, _rows(filled), coverage, cost, filled)
                cost = Cost()
        doubts = Doubts(
            Witnesses(self.storage.database),
            self.live.open_spare(self.storage) if self._is_spelled else None,
            now,
            self.storage.calendar,
            self.context.log.info,
        )
        if confirmed := doubts.settle(self.target):
            self.context.log.info(f"{self.target.symbol}: others confirm {confirmed} quarter hours")

    @property
    def _is_spelled(self) -> bool:
        """Return whether today's provider can be asked about the symbol."""
        return self.live.provider.spelled(self.target.symbol) is not None

    def _refresh(self, session: Session) -> None:
        if not self._is_spelled:
            self.context.log.info(
                f"{self.target.symbol}: {self.live.provider.unspelled}: no bars before tomorrow"
            )
            self._report_idle([session.day])
            return
        if self.live.is_off:
            self.context.log.warning(
                f"{self.live.provider.key_variable} is unset: today's bars are off"
            )
            self._report_idle([session.day])
            return
        provider = self.live.open(self.storage, probe=self.probe, single=self.recheck is not None)
        now = self.storage.clock.now()
        filled = refresh_today(
            self.target, session, now=now, provider=provider, store=self.storage.bars
        )
        if now >= session.opens:
            # The schedule need not ask again at once.
            book = LiveBook(self.storage.database)
            book.refreshed(self.target.symbol_id, now, closed_through(session, now))
        self._log(filled)
        coverage = {session.day: filled.coverage[0]}
        self._report([session], _rows(filled), coverage, Cost().plus(filled))

    def _report(
        self,
        sessions: Sequence[Session],
        rows: Rows,
        coverage: Mapping[date, SessionCoverage],
        cost: Cost | None = None,
        filled: Filled | None = None,
    ) -> None:
        share = (cost or Cost()).share(len(sessions))
        for timeframe in Timeframe:
            reports = [
                (
                    str(BarKey(session.day, self.target.symbol)),
                    _metadata(session, timeframe, rows, coverage.get(session.day), share)
                    | _shown(filled, timeframe, session.day),
                )
                for session in sessions
            ]
            self._send(timeframe, reports)

    def _report_idle(self, days: Sequence[date]) -> None:
        """Report days that have nothing to fetch, so that a backfill over them ends well."""
        for timeframe in Timeframe:
            nothing: Mapping[str, RawMetadataValue] = {
                "rows": 0,
                "reason": "no session of the past or today",
            }
            self._send(timeframe, [(str(BarKey(day, self.target.symbol)), nothing) for day in days])

    def _send(
        self,
        timeframe: Timeframe,
        reports: Sequence[tuple[str, Mapping[str, RawMetadataValue]]],
    ) -> None:
        asset = self.shard.asset(timeframe)
        if reports and asset in self._selected():
            report_sessions(self.context, asset, reports)

    def _selected(self) -> set[str]:
        return {key.to_user_string() for key in self.context.selected_asset_keys}

    def _stored(self, sessions: Iterable[Session]) -> Rows:
        days = [session.day for session in sessions]
        return self.storage.ledger.session_rows(self.target.symbol_id, days)

    def _waiting(self) -> None:
        self.context.log.info(f"{self.target.symbol}: waiting for another run of this symbol")

    def _log(self, filled: Filled) -> None:
        days = sorted(row.day for row in filled.coverage)
        self.context.log.info(
            f"{self.target.symbol}: {days[0] if days else '-'}..{days[-1] if days else '-'} "
            f"{filled.written.inserted} new, {filled.written.updated} changed, "
            f"{filled.written.unchanged} unchanged rows, {filled.rejected} rejected bars, "
            f"{filled.requests} requests, {filled.seconds:.2f} s"
        )


def _rows(filled: Filled) -> Rows:
    """Return an answer's bars by timeframe and session date."""
    return {(t, day): n for t, counts in filled.bars.items() for day, n in counts.items()}


def _metadata(
    session: Session,
    timeframe: Timeframe,
    rows: Rows,
    row: SessionCoverage | None,
    share: Cost,
) -> dict[str, RawMetadataValue]:
    """Return one report's metadata; the shares of a cost add up over its sessions."""
    expected = session.bars_expected(timeframe.minutes)
    stored = rows.get((timeframe, session.day), 0)
    metadata: dict[str, RawMetadataValue] = {
        "rows": stored,
        "expected": expected,
        "gaps": max(0, expected - stored),
        "requests": share.requests,
        "seconds": share.seconds,
        "dagster/partition_row_count": stored,
    }
    if row is not None:
        metadata["state"] = str(row.state)
        reasons = sorted({str(reason) for reason in row.absences.values()})
        if row.reason or reasons:
            metadata["reason"] = str(row.reason) if row.reason else ", ".join(reasons)
    return metadata


def _shown(filled: Filled | None, timeframe: Timeframe, day: date) -> dict[str, RawMetadataValue]:
    """Return what an answer showed of a session: a drawing, and how live bars differed from it."""
    shown: dict[str, RawMetadataValue] = {}
    if filled is None:
        return shown
    if day in filled.sketches.get(timeframe, {}):
        shown["bars"] = filled.sketches[timeframe][day]
    for replaced in filled.written.replaced:
        if replaced.day == day:
            shown |= {
                "live_bars": replaced.live_bars,
                "differing_bars": replaced.differing,
                "max_price_difference": replaced.max_price_difference,
                "max_volume_difference": replaced.max_volume_difference,
            }
    return shown
