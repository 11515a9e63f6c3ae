"""The same replies stored again: nothing may be rewritten, and next to nothing logged.

Beside it what is usual: ON CONFLICT DO UPDATE without a condition, over the same rows in the same
transactions. What belongs here: repeated writes. What does not: first ones (`ingest.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from filling import KeepingStore, fill
from results import Group, Line, milliseconds, spread
from timing import Timings, side_by_side, timed

from resources.bars.copy_format import COLUMNS, BarRows, encode
from resources.bars.symbols import ensure_symbols

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from replies import Recorded
    from server import Server

    from resources.bars.session_write import SessionsWrite
    from resources.postgres.database import Database

SYMBOL = "AAPL"
_NAMES = ", ".join(COLUMNS)
_ALWAYS = (
    f"insert into ohlc_bars_v2 ({_NAMES}) select {_NAMES} from usual_staging"
    " on conflict (symbol_id, timeframe, ts, provider, is_forecast) do update set "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[6:])
)


@dataclass
class _Cost:
    """What the repetitions of one variant rewrote and logged."""

    rewritten: list[int]
    wal_bytes: list[int]


def measure(server: Server, recorded: Recorded, repetitions: int) -> Group:
    """Return the group."""
    with server.database() as database:
        ids = ensure_symbols(database, [SYMBOL])
        kept = KeepingStore(database)
        fill(database, recorded, ids, store=kept)
        rows = sum(bars.height for write in kept.kept for bars in write.bars.values())
        costs = {name: _Cost([], []) for name in ("ours", "usual")}

        def counted(name: str, work: Callable[[], None]) -> Callable[[], float]:
            def run() -> float:
                server.settle()
                before, position = _versions(database), _position(database)
                seconds = timed(work)
                costs[name].wal_bytes.append(_position(database) - position)
                costs[name].rewritten.append(_changed(database, before))
                return seconds

            return run

        found = side_by_side(
            {
                "ours": counted("ours", lambda: _again(database, kept.kept)),
                "usual": counted("usual", lambda: _always(database, kept.kept)),
            },
            repetitions,
        )
        forced = Timings((timed(lambda: fill(database, recorded, ids, force=True)),))
    return _group(rows, found, costs, forced)


def _again(database: Database, writes: list[SessionsWrite]) -> None:
    store = KeepingStore(database)
    try:
        for write in writes:
            written = store.write(write)
            assert (written.inserted, written.updated) == (0, 0), written
    finally:
        store.close()


def _always(database: Database, writes: list[SessionsWrite]) -> None:
    with database.connect(autocommit=False) as connection:
        connection.execute(
            "create temp table usual_staging (like ohlc_bars_v2 including defaults)"
            " on commit delete rows"
        )
        connection.commit()
        for write in writes:
            now = connection.execute("select clock_timestamp()").fetchone()
            assert now is not None
            copying = connection.cursor().copy(f"copy usual_staging ({_NAMES}) from stdin binary")
            with copying as copy:
                copy.write(encode(_rows(write, now[0])))
            connection.execute(_ALWAYS)
            connection.commit()


def _rows(write: SessionsWrite, now: datetime) -> list[BarRows]:
    return [
        BarRows(
            symbol_id=write.symbol_id,
            timeframe=str(timeframe),
            provider=write.provider,
            is_intraday=False,
            data_status="verified",
            fetched_at=now,
            bars=bars,
        )
        for timeframe, bars in write.bars.items()
    ]


def _versions(database: Database) -> dict[str, str]:
    """Return each row's place and writer, by key: a rewritten row has others."""
    with database.connect() as connection:
        return {
            f"{timeframe} {ts}": f"{place} {writer}"
            for timeframe, ts, place, writer in connection.execute(
                "select timeframe, ts, tableoid::text || ctid::text, xmin::text from ohlc_bars_v2"
            )
        }


def _changed(database: Database, before: dict[str, str]) -> int:
    after = _versions(database)
    assert after.keys() == before.keys(), "rows came or went"
    return sum(before[key] != version for key, version in after.items())


def _position(database: Database) -> int:
    with database.connect() as connection:
        row = connection.execute("select pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    assert row is not None
    return int(row[0])


def _group(rows: int, found: dict[str, Timings], costs: dict[str, _Cost], forced: Timings) -> Group:
    group = Group(f"the same {rows:,} rows again, 10 transactions, after a checkpoint")
    names = {
        "ours": "swiftbolt (COPY, compare, MERGE if any differs)",
        "usual": "ON CONFLICT DO UPDATE, always",
    }
    base = found["usual"]
    for name, timings in found.items():
        cost = costs[name]
        rewritten, wal = max(cost.rewritten), Timings(tuple(cost.wal_bytes)).median
        ours = name == "ours"
        group.lines.append(
            Line(
                names[name],
                milliseconds(timings.median),
                spread(timings.seconds),
                f"{timings.median / base.median:.2f}",
            )
        )
        group.lines.append(
            Line(
                "  rows rewritten",
                f"{rewritten:,}",
                target="0" if ours else None,
                reached=rewritten == 0 if ours else None,
            )
        )
        group.lines.append(Line("  WAL written", f"{wal / 1e6:.2f} MB"))
        group.data[name] = timings.as_json() | {
            "rows_rewritten": rewritten,
            "wal_bytes": cost.wal_bytes,
        }
    group.lines.append(
        Line("the whole fill once more, forced (bytes to commit)", milliseconds(forced.median))
    )
    group.data["forced_fill"] = forced.as_json()
    return group
