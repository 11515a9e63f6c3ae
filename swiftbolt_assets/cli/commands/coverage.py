"""`swiftbolt coverage`: what is stored of a symbol, what is absent, and why."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from swiftbolt_assets.cli.installation import readable
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.market.prices import price_text
from swiftbolt_assets.market.symbols import parse_symbol
from swiftbolt_assets.market.timeframes import Timeframe, parse_timeframe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.bars.overview import SessionRow
    from swiftbolt_assets.market.listed_splits import Judged

_LINES = 20
UNCONFIRMED = "unconfirmed"
#: Reasons of the ledger that do not say that nothing was traded.
_UNPROVEN = (
    "rejected", "provider_empty", "delisted", "plan_cut", "provider_error", "not_fetched",
)  # fmt: skip


def run_coverage(symbol: str, timeframe: str, *, as_json: bool) -> None:
    """Print the symbol's ledger from its oldest session to today.

    Raises:
        UsageError: the symbol or timeframe is none.
        SwiftBoltError: nothing was ever asked of the symbol.

    """
    ticker, wanted = parse_symbol(symbol), parse_timeframe(timeframe)

    from resources.bars.delisted import delisted
    from resources.bars.overview import (
        rejects_by_rule,
        replaced_days,
        session_rows,
        symbol_overviews,
        timeframe_rows,
    )
    from resources.bars.splits import SplitBook
    from resources.bars.symbols import find_symbol

    with readable() as installation:
        database = installation.database
        symbol_id = find_symbol(database, ticker)
        overview = symbol_overviews(database, ticker)
        if symbol_id is None or not overview or overview[0].first is None:
            raise SwiftBoltError(f"{ticker}: nothing is stored; run swiftbolt backfill {ticker}")
        today = installation.settings.clock.today()
        rows = session_rows(database, symbol_id, overview[0].first, today)
        count, first, last = timeframe_rows(database, symbol_id, str(wanted))
        rejected = rejects_by_rule(database, symbol_id)
        replaced = replaced_days(database, symbol_id)
        splits = SplitBook(database).listed(symbol_id)
        with database.transaction() as connection:
            ended = next(iter(delisted(connection, ticker)), None)
        simulated = installation.settings.simulated
    past = [row for row in rows if row.day < today]
    absent = _absent(past)
    report: dict[str, Any] = {
        "symbol": ticker,
        "timeframe": str(wanted),
        "bars": count,
        "first_bar": first and first.isoformat(),
        "last_bar": last and last.isoformat(),
        "sessions": len(past),
        "final_sessions": sum(row.state == "final" for row in past),
        "complete": all(row.state == "final" for row in past),
        "absent": {why: n for why, n in absent.items() if why not in {UNCONFIRMED, *_UNPROVEN}},
        "unproven": {why: n for why, n in absent.items() if why in _UNPROVEN},
        "unconfirmed": absent[UNCONFIRMED],
        "marked": {at: rule for row in past for at, rule in row.marks.items()},
        "rejected": rejected,
        "simulated": simulated,
        "replaced": [asdict(row) | {"day": row.day.isoformat()} for row in replaced],
        "splits": [_split(one) for one in splits],
        "delisted": ended and asdict(ended),
        "incomplete_sessions": [_session(row) for row in rows if row.bars < row.expected],
    }
    if as_json:
        click.echo(json.dumps(report, default=str))
    else:
        _print(report, wanted)


def _absent(rows: Sequence[SessionRow]) -> Counter[str]:
    """Count quarter hours without a bar by reason."""
    counts: Counter[str] = Counter()
    for row in rows:
        if row.bars == 0:
            counts[row.reason or "not_fetched"] += row.expected
        else:
            counts.update(row.absences.values())
    return counts


def _session(row: SessionRow) -> dict[str, Any]:
    reasons = Counter(row.absences.values()) if row.bars else {}
    return {
        "date": row.day.isoformat(),
        "state": row.state,
        "bars": row.bars,
        "expected": row.expected,
        "reason": row.reason or ", ".join(sorted(reasons)) or "not_fetched",
        "absent": sorted(row.absences),
        "unconfirmed": row.unconfirmed,
        "ask_again_at": row.ask_again_at and row.ask_again_at.isoformat(timespec="seconds"),
    }


def _split(one: Judged) -> dict[str, Any]:
    return {
        "listed": one.listed.day.isoformat(),
        "effective": one.effective and one.effective.isoformat(),
        "split_from": one.listed.split_from,
        "split_to": one.listed.split_to,
        "state": str(one.state),
        "price_ratio": one.ratio,
    }


def _told(split: dict[str, Any]) -> str:
    words = {
        "listed": "folded as listed; no price tells",
        "shown": "folded; the prices show it",
        "moved": f"folded on {split['effective']}, where the prices show it",
        "repeated": "listed a second time, folded once",
        "doubtful": "not folded: the prices do not show it; asked about again",
    }
    return words[split["state"]]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "nothing"


def _marked(marks: dict[str, str]) -> list[str]:
    """Return what is told of bars that were hard to believe, the newest of them."""
    from swiftbolt_assets.market.overlap import CONTRADICTED

    told = {CONTRADICTED: "a later answer has it otherwise; asked for again"}
    return [
        f"{at} {told.get(rule, f'came twice ({rule})')}"
        for at, rule in list(marks.items())[-_LINES:]
    ]


def _print(report: dict[str, Any], timeframe: Timeframe) -> None:
    source = " (simulated)" if report["simulated"] else ""
    click.echo(f"{report['symbol']} {timeframe}{source}: {report['bars']:,} bars")
    if report["first_bar"]:
        click.echo(f"  from {report['first_bar']} to {report['last_bar']} (starts, UTC)")
    if ended := report["delisted"]:
        click.echo(f"  delisted  {ended['evidence']}")
        click.echo(f"            asked {ended['asked_on']}, again about {ended['ask_on']}")
    click.echo(f"  sessions  {report['final_sessions']:,} of {report['sessions']:,} final")
    click.echo(f"  absent    {_counts(report['absent'])} (quarter hours)")
    if report["unproven"]:
        click.echo(f"  unproven  {_counts(report['unproven'])} (quarter hours)")
    if report["unconfirmed"]:
        click.echo(
            f"  in doubt  {report['unconfirmed']:,} unconfirmed, asked for again (quarter hours)"
        )
    for line in _marked(report["marked"]):
        click.echo(f"  marked    {line}")
    click.echo(f"  rejected  {_counts(report['rejected'])} (bars delivered and not believed)")
    for row in report["replaced"][-_LINES:]:
        click.echo(
            f"  {row['day']}  live {row['live_bars']}, history {row['history_bars']} bars; "
            f"{row['differing']} differ, ${price_text(row['max_price_difference'])} and "
            f"{row['max_volume_difference']:,.0f} at most"
        )
    for one in report["splits"]:
        ratio = f"{one['split_from']:g} to {one['split_to']:g}"
        click.echo(f"  {one['listed']}  split {ratio}: {_told(one)}")
    incomplete = report["incomplete_sessions"]
    for row in incomplete[-_LINES:]:
        counts = f"{row['bars']:>2} of {row['expected']}"
        again = f", asked again {row['ask_again_at']}" if row["ask_again_at"] else ""
        click.echo(f"  {row['date']}  {counts}  {row['state']}  {row['reason']}{again}")
    if len(incomplete) > _LINES:
        click.echo(f"  … and {len(incomplete) - _LINES} older ones; --json lists all")
