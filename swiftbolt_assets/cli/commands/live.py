"""`swiftbolt live`: refresh today's bars in this process; no platform is needed.

What belongs here: the rounds of one command and what they print. What does not: who is due
(`policy/freshness.py`), one round (`filling/live_round.py`).
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from resources.providers.registry import TODAY
from swiftbolt_assets.cli.arguments import parse_symbols
from swiftbolt_assets.cli.installation import ready
from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from resources.bars.live import TodaysBars
    from resources.postgres.database import Database
    from resources.providers.contract import BarProvider
    from resources.storage import Storage
    from swiftbolt_assets.filling.live_round import Refreshed
    from swiftbolt_assets.market.sessions import Session
    from swiftbolt_assets.policy.freshness import Watched
    from swiftbolt_assets.settings import Settings

_LONGEST_NAP_S = 15.0


def run_live(symbols: Sequence[str], *, once: bool, as_json: bool) -> None:
    """Refresh once, or whoever is due until the session is over; exits with 1 after a failure.

    Raises:
        UsageError: a symbol is none, or none that today's provider can spell; nothing was touched.
        ConfigurationError: only the other provider has a key.

    """
    wanted = parse_symbols(symbols) if symbols else []
    unspelled = [symbol for symbol in wanted if TODAY.spelled(symbol) is None]
    if unspelled:
        raise UsageError(
            f"symbol: {', '.join(unspelled)}: {TODAY.unspelled} in a ticker, "
            "so it is not asked; leave it out"
        )
    settings = read_settings()
    if not settings.has_live:
        from resources.sources import missing_key

        raise missing_key(TODAY)
    with ready(settings) as installation:
        from resources.bars.symbols import ensure_symbols

        if wanted:
            ensure_symbols(installation.database, wanted)
        desk = _Desk(settings, installation.database, wanted)
        try:
            desk.serve(once=once, as_json=as_json)
        except KeyboardInterrupt:
            # The usual end of many rounds; a single one was cut short.
            if once:
                raise
        finally:
            desk.close()
    sys.exit(1 if desk.failed else 0)


class _Desk:
    """What the rounds of one command work with."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        wanted: Sequence[str],
    ) -> None:
        from resources.bars.live import LiveBook

        self._settings = settings
        self._database = database
        self._book = LiveBook(database)
        self._wanted = wanted
        self._opened: tuple[Storage, BarProvider] | None = None
        #: Whether a symbol of the latest round failed.
        self.failed = False

    def close(self) -> None:
        """Close what was opened."""
        if self._opened is not None:
            self._opened[0].close()

    def _open(self) -> tuple[Storage, BarProvider]:
        """Return what a round works with; a command that finds nobody due never needs it."""
        if self._opened is None:
            from resources.storage import open_storage
            from swiftbolt_assets.orchestration.simulated import source_of

            storage = open_storage(self._database, self._settings.clock)
            provider = source_of(TODAY, self._settings).open(storage, probe=True)
            self._opened = storage, provider
        return self._opened

    def serve(self, *, once: bool, as_json: bool) -> None:
        """Serve rounds until nothing more comes today."""
        from resources.bars.calendar import CalendarInForce
        from swiftbolt_assets.policy.freshness import closed_hours, due, in_order, next_due

        in_force = CalendarInForce(self._database)
        is_first = True
        while True:
            calendar = in_force.now()
            now = self._settings.clock.now()
            session = calendar.session(self._settings.clock.today())
            watched = self._watched()
            closed = closed_hours(calendar, now)
            # The first round asks for all: whoever types the command wants to see bars now.
            asked = due(watched, session, now)
            if is_first and closed is None and session is not None:
                asked = in_order(watched, session, now)
            note = closed
            if not watched:
                note = closed or "no symbol is tracked; run swiftbolt track, or name one here"
            if asked and session is not None:
                self._round(session, asked, note, as_json=as_json)
            elif note:
                click.echo(json.dumps({"symbols": [], "note": note}) if as_json else note)
            if once or note:
                return
            is_first = False
            coming = [at for one in watched if (at := next_due(one, session, now)) is not None]
            self._nap(min(coming, default=now))

    def _watched(self) -> list[Watched]:
        from swiftbolt_assets.policy.admission import lowest

        if self._wanted:
            return self._book.of_symbols(self._wanted)
        return self._book.watched(least_priority=lowest(background=self._settings.background))

    def _round(
        self, session: Session, asked: Sequence[Watched], note: str | None, *, as_json: bool
    ) -> None:
        """Serve one round; each symbol is told as soon as it is stored."""
        from swiftbolt_assets.definitions import derived_timeframes
        from swiftbolt_assets.filling.live_round import Round

        derived = derived_timeframes(self._settings)
        storage, provider = self._open()
        work = Round(storage, self._book, provider, session, derived)
        rows = []
        for one in work.run(asked):
            stored = self._book.stored([one.watched.symbol_id], session)
            row = _row(one, stored.get(one.watched.symbol_id), self._settings.clock.now())
            rows.append(row)
            if row["error"] is not None:
                click.echo(f"swiftbolt: {row['symbol']}: {row['error']}", err=True)
            elif not as_json:
                click.echo(_line(row))
        self.failed = any(row["error"] is not None for row in rows)
        rest = len(asked) - len(rows)
        if rest:
            click.echo(f"swiftbolt: {rest} more not asked for", err=True)
        if as_json:
            report = {
                "date": session.day.isoformat(),
                "at": self._settings.clock.now().isoformat(),
                "simulated": self._settings.simulated,
                "requests": sum(row["requests"] for row in rows),
                "not_asked": rest,
                "symbols": rows,
                "note": note,
            }
            click.echo(json.dumps(report))
        elif note:
            click.echo(note)

    def _nap(self, until: datetime) -> None:
        left = (until - self._settings.clock.now()).total_seconds()
        time.sleep(min(max(left, 1.0), _LONGEST_NAP_S))


def _row(one: Refreshed, stored: TodaysBars | None, now: datetime) -> dict[str, Any]:
    """Return what `--json` prints of a symbol."""
    newest = stored.newest if stored else None
    return {
        "symbol": one.watched.symbol,
        "bars": stored.bars if stored else 0,
        "closed_bars": stored.closed if stored else 0,
        "newest_closed_bar": newest and newest.isoformat(),
        # How long ago that bar closed.
        "age_seconds": newest and (now - newest - timedelta(minutes=15)).total_seconds(),
        "requests": one.filled.requests if one.filled else 0,
        "error": one.error,
    }


def _line(row: dict[str, Any]) -> str:
    from datetime import datetime

    head = f"{row['symbol']:<6}  {row['bars']:>2} bars today"
    requests = f"{row['requests']} request{'' if row['requests'] == 1 else 's'}"
    if row["newest_closed_bar"] is None:
        return f"{head}, none has closed yet, {requests}"
    newest = datetime.fromisoformat(row["newest_closed_bar"]).astimezone(NEW_YORK)
    return (
        f"{head}, newest closed {newest:%H:%M} New York time, "
        f"{max(row['age_seconds'], 0.0) / 60:.0f} min old, {requests}"
    )
