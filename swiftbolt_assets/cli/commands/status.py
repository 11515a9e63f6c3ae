"""`swiftbolt status`: what waits, what is at work, what failed and why, and what is stored."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from resources.providers.registry import HISTORY, PROVIDERS
from swiftbolt_assets.cli.installation import readable
from swiftbolt_assets.cli.phrases import count_of, some_of, span
from swiftbolt_assets.cli.tables import one_line
from swiftbolt_assets.cli.today import todays_lines, todays_prices
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.market.symbols import parse_symbol
from swiftbolt_assets.policy.admission import lowest
from swiftbolt_assets.policy.request_windows import Pace, seconds_to_done

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from resources.postgres.database import Database
    from resources.providers.capabilities import Capabilities
    from resources.queue.backlog import Queue
    from swiftbolt_assets.settings import Settings

#: So many successes are told in JSON, so many lines of a kind to people.
_RECENT, _SHOWN = 20, 5
_STATES = {"queued": "waiting", "running": "at work", "retrying": "to retry", "failed": "failed"}


def run_status(symbol: str | None, *, as_json: bool) -> None:
    """Print the installation's state, or one symbol's.

    Raises:
        UsageError: the symbol is none.

    """
    ticker = parse_symbol(symbol) if symbol is not None else None
    with readable() as installation:
        report = report_of(installation.settings, installation.database, ticker)
    if as_json:
        click.echo(json.dumps(report, default=_plain))
    else:
        _print(report, ticker)


def report_of(settings: Settings, database: Database, ticker: str | None) -> dict[str, Any]:
    """Return the report: of everything, or of one symbol's part of it.

    Raises:
        StorageError: the database does not answer.

    """
    # A dozen looks: connecting for each took as long as looking.
    with database.held() as one:
        return _report(settings, one, ticker)


def _report(settings: Settings, database: Database, ticker: str | None) -> dict[str, Any]:
    from resources.bars.delisted import delisted
    from resources.bars.overview import request_overviews, symbol_overviews
    from resources.bars.splits import SplitBook
    from resources.providers.trouble import present_troubles
    from resources.queue import backlog
    from swiftbolt_assets.orchestration.platform.presence import answers, find_platform

    platform = find_platform(settings)
    running = platform is not None and answers(platform)
    budgets = [_budget(settings, database, provider) for provider in PROVIDERS]
    least = lowest(background=settings.background)
    queue = backlog.queue(database, ticker, least_priority=least)
    lists = {
        "running_jobs": backlog.running_slices(database, ticker),
        "retrying_jobs": backlog.retrying_slices(database, ticker),
        "failed_jobs": backlog.failed_slices(database, ticker),
        "recent_jobs": backlog.recent_slices(database, ticker, _RECENT),
    }
    with database.transaction() as connection:
        troubles = present_troubles(connection, ticker)
        ended = delisted(connection, ticker)
    return {
        "platform": "running" if running else "stopped",
        "dagster_url": platform.dagster_url if platform else None,
        "api_url": platform.api_url if platform else None,
        "chart_url": platform.chart_url if platform else None,
        "refusal": _refusal(database),
        "data_source": "simulated" if settings.simulated else "real",
        "now": settings.clock.now().isoformat(timespec="seconds"),
        "today": settings.clock.today().isoformat(),
        "budgets": budgets,
        "requests": [asdict(row) for row in request_overviews(database)],
        "troubles": [asdict(trouble) for trouble in troubles],
        "queue": _queue(queue, next(one for one in budgets if one["provider"] == HISTORY.name)),
        **{name: [asdict(one) for one in slices] for name, slices in lists.items()},
        "live": todays_prices(settings, database, ticker, least_priority=least),
        "failed_split_lookups": [
            asdict(one)
            for one in SplitBook(database).failures()
            if one.symbol is None or ticker in {None, one.symbol}
        ],
        "delisted": [asdict(one) for one in ended],
        "symbols": [asdict(row) for row in symbol_overviews(database, ticker)],
    }


def _refusal(database: Database) -> str | None:
    """Return why no work can be done on the database, None when it can."""
    from resources.postgres.probing import probe

    with database.transaction() as connection:
        try:
            probe(connection)
        except StorageError as error:
            return str(error)
    return None


def _queue(queue: Queue, history: dict[str, Any]) -> dict[str, Any]:
    """Return the queue with the seconds until it is empty, at the pace that the budget allows."""
    left = seconds_to_done(
        # Those at work that have no slot yet wait for one, too.
        queue.requests_ahead + (history["waiting"] if queue.running else 0),
        Pace(history["per_minute"], history["free"] or 0, history["next_free_s"] or 0.0),
        is_running=bool(queue.running),
        cooling_s=history["cooling_down_s"],
        last_attempt_s=queue.last_attempt_s,
    )
    wait = queue.next_attempt_s
    return {
        "queued": queue.queued,
        "running": queue.running,
        "retrying": queue.retrying,
        "failed": queue.failed,
        "next_attempt_s": None if wait is None else round(wait, 1),
        "unplanned_symbols": queue.unplanned,
        "eta_s": left or 0.0,
    }


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _budget(settings: Settings, database: Database, provider: Capabilities) -> dict[str, Any]:
    from resources.providers.health import ProviderHealth
    from resources.providers.rate_limit import limiter

    wanted = settings.providers[provider.name].per_minute
    with closing(limiter(database.connect, provider.name, wanted)) as budget:
        state = budget.state() if wanted else None
    cooling = ProviderHealth(database.transaction).cooling(provider.name)
    return {
        "provider": provider.name,
        "off": None if settings.is_on(provider) else f"{provider.key_variable} is unset",
        "per_minute": state.per_window if state and provider.learns_budget else wanted,
        "free": state.free if state else None,
        "next_free_s": round(state.next_free_s, 1) if state else None,
        "waiting": state.waiting if state else 0,
        "cooling_down": str(cooling.error()) if cooling else None,
        "cooling_down_s": round(cooling.seconds, 1) if cooling else 0.0,
        "closed_s": round(state.closed_s, 1) if state else 0.0,
    }


def _print(report: dict[str, Any], ticker: str | None) -> None:
    where = f" at {report['dagster_url']}" if report["dagster_url"] else ""
    click.echo(f"platform  {report['platform']}{where}, {report['data_source']} bars")
    if report["chart_url"]:
        click.echo(f"chart     {report['chart_url']}")
    click.echo(f"market    {report['now']}, today is {report['today']} in New York")
    for budget in report["budgets"]:
        click.echo(f"{budget['provider']:<9} {_budget_line(budget)}")
        if budget["cooling_down"]:
            click.echo(f"          cooling down: {budget['cooling_down']}")
    for row in report["requests"]:
        failed = f", {row['failed']} failed ({row['last_failure']})" if row["failed"] else ""
        click.echo(
            f"          {row['provider']}: {row['last_minute']} requests in the last minute, "
            f"{row['last_hour']} in the last hour{failed}"
        )
    is_running = report["platform"] == "running"
    for trouble in report["troubles"][:_SHOWN]:
        click.echo(f"trouble   {one_line(trouble['text'])}")
    for line in (
        *_work_lines(report),
        *todays_lines(report["live"], is_running=is_running),
        *_split_lines(report["failed_split_lookups"]),
        *_delisted_lines(report["delisted"]),
    ):
        click.echo(line)
    stored = [row for row in report["symbols"] if row["first"] is not None]
    for row in stored:
        click.echo(f"{row['symbol']:<9} {_symbol_line(row)}")
    empty = len(report["symbols"]) - len(stored)
    if not stored and (ticker or not empty):
        queue = report["queue"]
        is_wanted = any(queue[name] for name in (*_STATES, "unplanned_symbols"))
        hint = "" if is_wanted else f"; run swiftbolt backfill {ticker or 'AAPL'}"
        click.echo(f"{ticker or 'symbols':<9} nothing stored yet{hint}")
    elif empty:
        click.echo(f"symbols   {empty} {'more ' if stored else ''}without a bar")


def _work_lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield what is known of the queue, a line a fact."""
    queue = report["queue"]
    if report["refusal"]:
        yield f"trouble   {one_line(report['refusal'])}"
    yield f"queue     {_queue_line(queue, _condition(report))}"
    if queue["unplanned_symbols"]:
        count = queue["unplanned_symbols"]
        who = "the platform plans" if report["platform"] == "running" else "swiftbolt up plans"
        yield f"          {count_of(count, 'wanted symbol')} not planned yet; {who} and fills"
    for job in report["running_jobs"]:
        yield f"at work   {_slice(job)}, priority {job['priority']}, for {span(job['age_s'])}"
    for title, jobs in (("retrying", report["retrying_jobs"]), ("failed", report["failed_jobs"])):
        yield from (f"{title:<9} {line}" for line in _troubles(jobs))
    for job in report["recent_jobs"][:_SHOWN]:
        yield f"done      {_slice(job)}, {job['rows_written']:,} bars, {span(job['age_s'])} ago"


def _condition(report: dict[str, Any]) -> str:
    """Return what has to come first before anything is done, empty for nothing."""
    if report["refusal"]:
        return " once the database lets work be done"
    return "" if report["platform"] == "running" else " once the platform runs"


def _queue_line(queue: dict[str, Any], condition: str) -> str:
    counts = [(queue[name], word) for name, word in _STATES.items() if queue[name]]
    if not counts:
        return "empty"
    parts = [f"{count_of(counts[0][0], 'slice')} {counts[0][1]}"]
    parts += [f"{count} {word}" for count, word in counts[1:]]
    if queue["next_attempt_s"] is not None:
        parts.append(f"the next retry in {span(queue['next_attempt_s'])}")
    line = ", ".join(parts)
    if queue["eta_s"]:
        line += f"; about {span(queue['eta_s'])} left{condition}"
    return line


def _troubles(jobs: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield one line for all slices of a symbol that have the same trouble."""
    alike: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for job in jobs:
        why = (job["symbol"], job["error_code"] or "no code", job["error_message"] or "no reason")
        alike.setdefault(why, []).append(job)
    for (symbol, code, message), same in list(alike.items())[:_SHOWN]:
        slices = _slice(same[0]) if len(same) == 1 else f"{symbol}, {len(same)} slices"
        yield f"{slices}: {code}: {one_line(message)}"
    if len(alike) > _SHOWN:
        yield f"… and {len(alike) - _SHOWN} other troubles; --json lists all"


def _split_lines(failed: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield one line for all look-ups of splits that failed alike."""
    alike: dict[str, list[dict[str, Any]]] = {}
    for one in failed:
        alike.setdefault(one["error"], []).append(one)
    for error, same in list(alike.items())[:_SHOWN]:
        names = some_of([one["symbol"] or "all symbols" for one in same], _SHOWN)
        retry_s = min(one["retry_s"] for one in same)
        again = f"in {span(retry_s)}" if retry_s else "as soon as there is room"
        yield f"splits    of {names} not known: {one_line(error)}; asked again {again}"
    if len(alike) > _SHOWN:
        yield f"… and {len(alike) - _SHOWN} other troubles; --json lists all"


def _delisted_lines(ended: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield who trades no more and why, the newest first."""
    newest = sorted(ended, key=lambda one: one["since"], reverse=True)
    for one in newest[:_SHOWN]:
        yield f"delisted  {one['symbol']}: {one['evidence']}; asked again about {one['ask_on']}"
    if len(newest) > _SHOWN:
        yield f"          and {len(newest) - _SHOWN} more, asked once a month; --json lists all"


def _slice(job: dict[str, Any]) -> str:
    if job["first_day"] is None:
        return f"{job['symbol']}, a slice without days"
    return f"{job['symbol']} {job['first_day']}..{job['last_day']}"


def _budget_line(budget: dict[str, Any]) -> str:
    if budget["off"]:
        return f"off: {budget['off']}"
    if not budget["per_minute"]:
        return "no limit on requests"
    if budget["closed_s"]:
        return f"asked to be left alone; not asked for {span(budget['closed_s'])}"
    line = f"{budget['free']} of {budget['per_minute']} requests free this minute"
    if budget["next_free_s"]:
        line += f", the next in {budget['next_free_s']:.0f} s"
    return line + (f", {budget['waiting']} waiting" if budget["waiting"] else "")


def _symbol_line(row: dict[str, Any]) -> str:
    line = (
        f"{row['final']:,} sessions final, {row['bars']:,} m15 bars, {row['first']}..{row['last']}"
    )
    line += f" ({row['name']})" if row["name"] else ""
    line += f", {row['unsettled']} to ask again" if row["unsettled"] else ""
    line += f", {row['unconfirmed']:,} quarter hours unconfirmed" if row["unconfirmed"] else ""
    return line + (f", {row['provisional']} provisional" if row["provisional"] else "")
