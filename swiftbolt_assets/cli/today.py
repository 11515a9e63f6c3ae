"""What `status` says of today's prices: how old each symbol's newest one is, and why it is late.

What belongs here: a section of the report, and its lines. What does not: what counts as late
(`policy/freshness.py`), refreshing (`cli/commands/live.py`).
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from resources.providers.registry import TODAY
from swiftbolt_assets.cli.phrases import count_of, some_of, span
from swiftbolt_assets.cli.tables import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from resources.postgres.database import Database
    from swiftbolt_assets.policy.freshness import Watched
    from swiftbolt_assets.settings import Settings

_NAMED, _SHOWN = 10, 5


def todays_prices(
    settings: Settings, database: Database, ticker: str | None, *, least_priority: int
) -> dict[str, Any]:
    """Return the report's section.

    Args:
        settings: of the installation.
        database: the bars' database.
        ticker: only this symbol.
        least_priority: symbols that are wanted less are not refreshed.

    """
    from resources.bars.calendar import load_calendar
    from resources.bars.live import LiveBook
    from resources.providers.rate_limit import limiter
    from swiftbolt_assets.policy.freshness import age, closed_hours, is_beyond_budget, is_stale

    calendar = load_calendar(database)
    now, session = settings.clock.now(), calendar.session(settings.clock.today())
    book = LiveBook(database)
    watched = book.watched(least_priority=least_priority, symbol=ticker)
    with closing(
        limiter(database.connect, TODAY.name, settings.providers[TODAY.name].per_minute)
    ) as budget:
        per_minute = budget.state().per_window or None
    # Without a limit nobody is beyond it: the others need not be counted, 20 ms of ten thousand.
    is_enough = ticker is None or per_minute is None
    count = len(watched) if is_enough else book.watched_count(least_priority=least_priority)

    def row(one: Watched) -> dict[str, Any]:
        return {
            "symbol": one.symbol,
            "age_s": round(age(one, session, now).total_seconds(), 1),
            "late": is_stale(one, session, now),
            "refreshed_at": one.refreshed_at,
            "error": one.error,
        }

    rows = [row(one) for one in watched]
    return {
        "off": None if settings.has_live else f"{TODAY.key_variable} is unset",
        "closed": closed_hours(calendar, now),
        "began": session is not None and now >= session.opens,
        "per_minute": per_minute,
        "beyond_budget": is_beyond_budget(count, per_minute),
        "unspelled": book.unspelled(least_priority=least_priority, symbol=ticker),
        "symbols": sorted(rows, key=lambda one: (-one["age_s"], one["symbol"])),
    }


def todays_lines(live: Mapping[str, Any], *, is_running: bool) -> Iterator[str]:
    """Yield the section for people; nothing where no symbol is watched.

    Args:
        live: the section.
        is_running: whether a platform runs, which refreshes.

    """
    if live["unspelled"]:
        names = some_of(live["unspelled"], _NAMED)
        yield f"today     not asked for {names}: {TODAY.unspelled} in a ticker"
    rows = live["symbols"]
    if not rows:
        return
    watched = count_of(len(rows), "symbol")
    if live["off"]:
        yield f"today     off: {live['off']}; {watched} without today's bars"
        return
    if not live["began"]:
        yield f"today     {watched}, {live['closed']}"
        return
    # Oldest first. One that waits after a failure is late for that reason, told below.
    late = [row for row in rows if row["late"]]
    behind = [row for row in late if not row["error"]]
    rest = [row for row in rows if not row["late"]]
    parts = [watched]
    if rest and live["closed"]:
        parts.append(f"{'all' if not late else len(rest)} up to the close")
    elif rest:
        parts.append(f"the oldest price is {span(rest[0]['age_s'])} old")
    line = ", ".join(parts)
    if behind:
        names = some_of([row["symbol"] for row in behind], _NAMED)
        line += f"; {len(behind)} {_why(live, is_running=is_running)}, "
        line += f"up to {span(behind[0]['age_s'])} old: {names}"
    yield f"today     {line}"
    failed = [row for row in rows if row["error"]]
    for row in failed[:_SHOWN]:
        yield f"          {row['symbol']}: {one_line(row['error'])}"
    if len(failed) > _SHOWN:
        yield f"          and {len(failed) - _SHOWN} other failures; --json lists all"


def _why(live: Mapping[str, Any], *, is_running: bool) -> str:
    if not is_running:
        return "late, no platform refreshes them"
    if live["beyond_budget"]:
        return f"beyond the budget of {live['per_minute']} a minute"
    return "late"
