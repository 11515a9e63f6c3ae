"""The ten reports, by psql and by `swiftbolt monitor`, empty and filled: the counts are true."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import csv
import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import swiftbolt_assets.monitoring
from resources.platform.reports import reports
from resources.postgres.embedded import server as embedded
from resources.postgres.embedded.binaries import wheel_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from resources.postgres.database import Database

FILE = Path(str(swiftbolt_assets.monitoring.__file__)).with_name("monitor_multi_timeframe.sql")
TITLES = [
    "1. Coverage of AAPL, MSFT, NVDA, TSLA and GOOGL",
    "2. Jobs of the last hour by timeframe",
    "3. Definitions by timeframe",
    "4. Coverage status by timeframe",
    "5. Tracked symbols by source",
    "6. Coverage of AAPL by timeframe",
    "7. Failed runs of the last hour",
    "8. Most wanted symbols that wait for bars",
    "9. Progress of tracked symbols",
    "10. Health of the last hour by timeframe",
]
ORDER = ["h1", "h4", "m15"]
Tables = dict[str, tuple[list[str], list[list[str]]]]


def by_psql(url: str, now: str | None = None) -> Tables:
    """Run the file as an operator does; return columns and rows by title."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    if now is not None:
        offset = datetime.fromisoformat(now) - datetime.now(UTC)
        environ["PGOPTIONS"] = f"-c swiftbolt.clock_offset={offset.total_seconds()}"
    done = subprocess.run(
        [wheel_folder() / "psql", "-X", "-v", "ON_ERROR_STOP=1", "--csv", "-f", FILE, url],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    _, *parts = re.split(r"^(\d+\. .*)$", done.stdout, flags=re.MULTILINE)
    found = {}
    for title, text in zip(parts[::2], parts[1::2], strict=True):
        columns, *rows = csv.reader(text.strip().splitlines())
        found[title] = (columns, rows)
    return found


def by_name(database: Database, number: int) -> list[dict[str, Any]]:
    report = reports(database)[number - 1]
    return [dict(zip(report.columns, row, strict=True)) for row in report.rows]


def health(database: Database) -> dict[str, str]:
    return {row["timeframe"]: row["health_status"] for row in by_name(database, 10)}


def add_runs(database: Database, **columns: str) -> None:
    """Add a run of each timeframe's definition of AAPL, its columns as SQL."""
    names, values = ", ".join(columns), ", ".join(columns.values())
    with database.transaction() as connection:
        connection.execute(
            f"insert into job_runs (job_def_id, symbol, timeframe, job_type, {names})"  # type: ignore[arg-type]
            f" select id, symbol, timeframe, job_type, {values} from job_definitions"
            " where symbol = 'AAPL'"
        )


def test_every_report_runs_on_a_fresh_database(database_url: str) -> None:
    found = by_psql(database_url)
    assert list(found) == TITLES
    assert [len(rows) for _, rows in found.values()] == [15, 0, 3, 0, 0, 3, 0, 50, 0, 3]
    for number in (3, 6, 10):
        assert [row[0] for row in found[TITLES[number - 1]][1]] == ORDER
    assert [row[1] for row in found[TITLES[0]][1]] == ORDER * 5
    assert {row[-1] for row in found[TITLES[9]][1]} == {"Idle"}


def test_the_background_symbols_are_below_every_person(database: Database) -> None:
    rows = by_name(database, 3)
    assert [(row["timeframe"], row["total"], row["enabled"]) for row in rows] == [
        (name, 20, 20) for name in ORDER
    ]
    with database.transaction() as connection:
        found = connection.execute(
            "select count(*), count(distinct symbol) from job_definitions where priority < 100"
        ).fetchone()
    # AAPL's m15 definition is the one that the migration seeds above them.
    assert found == (59, 20)


def test_counts_do_not_multiply_each_other(database: Database) -> None:
    """Bars times runs times users was what the original counted."""
    with database.transaction() as connection:
        connection.execute("insert into auth.users (id) values (gen_random_uuid())")
        connection.execute(
            "insert into user_symbol_tracking (user_id, symbol_id, source)"
            " select u.id, s.id, c.source from auth.users u, symbols s,"
            " (values ('watchlist'), ('chart_view')) c (source) where s.ticker = 'AAPL'"
        )
        day = connection.execute(
            "select opens from market_sessions where day < market_today() order by day desc limit 1"
        ).fetchone()
        assert day is not None
        connection.execute(
            "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, open, high, low, close, volume,"
            " provider, is_intraday)"
            " select s.id, 'm15', %s + n * interval '15 minutes', 1, 2, 1, 2, 10, 'polygon', false"
            " from symbols s, generate_series(0, 6) n where ticker = 'AAPL'",
            (day[0],),
        )
    for minutes in (1, 2, 3):
        add_runs(
            database,
            status="'success'",
            rows_written="7",
            started_at="now() - interval '10 s'",
            finished_at="now() + interval '1 s'",
            slice_from=f"now() - interval '{minutes} min'",
            slice_to="now()",
        )
    add_runs(database, status="'queued'")
    rows = by_name(database, 9)
    told = ("source", "users", "m15", "h1", "queued", "completed")
    assert [tuple(row[name] for name in told) for row in rows] == [
        ("watchlist", 2, 7, 0, 3, 9),
        ("chart_view", 2, 7, 0, 3, 9),
    ]
    assert by_name(database, 6)[2]["bars_count"] == 7
    assert by_name(database, 1)[2]["bars"] == 7
    assert [(r["source"], r["symbols"], r["entries"]) for r in by_name(database, 5)] == [
        ("watchlist", 1, 2),
        ("chart_view", 1, 2),
    ]
    for row in by_name(database, 2):
        assert (row["total_jobs"], row["success"], row["queued"]) == (4, 3, 1)
        assert row["total_bars_written"] == 21
        assert row["avg_duration_seconds"] == 11.0
    waiting = by_name(database, 8)[:3]
    assert [(r["symbol"], r["timeframe"], r["pending"]) for r in waiting] == [
        ("AAPL", name, 1) for name in ORDER
    ]


def test_health_tells_idle_from_ill(database: Database) -> None:
    assert set(health(database).values()) == {"Idle"}
    add_runs(database, status="'success'", finished_at="now() - interval '3 hours'",
             updated_at="now() - interval '3 hours'")  # fmt: skip
    assert set(health(database).values()) == {"Idle"}
    add_runs(database, status="'queued'", created_at="now() - interval '5 minutes'")
    assert set(health(database).values()) == {"Healthy"}
    with database.transaction() as connection:
        connection.execute("update job_runs set created_at = now() - interval '2 hours'")
    assert set(health(database).values()) == {"Unhealthy"}
    for _ in range(12):
        add_runs(database, status="'success'", finished_at="now()")
    assert set(health(database).values()) == {"Healthy"}
    failed = {"status": "'failed'", "finished_at": "now()", "error_code": "'API_ERROR'"}
    add_runs(database, **failed)
    assert by_name(database, 10)[0]["success_rate_pct"] == 92.3
    assert set(health(database).values()) == {"Healthy"}
    for _ in range(2):
        add_runs(database, **failed)
    assert set(health(database).values()) == {"Degraded"}
    for _ in range(9):
        add_runs(database, **failed)
    assert set(health(database).values()) == {"Unhealthy"}


def test_failed_runs_tell_code_and_message(database: Database) -> None:
    add_runs(
        database,
        status="'failed'",
        error_code="'PERMISSION_DENIED'",
        error_message="'polygon: the key lacks the endpoint'",
        started_at="now() - interval '5 s'",
        finished_at="now()",
        attempt="3",
    )
    rows = by_name(database, 7)
    assert [row["timeframe"] for row in rows] == ORDER
    assert {(r["error_code"], r["error_message"], r["attempt"], r["seconds"]) for r in rows} == {
        ("PERMISSION_DENIED", "polygon: the key lacks the endpoint", 3, 5.0)
    }
    for _ in range(9):
        add_runs(database, status="'failed'", finished_at="now()")
    assert len(by_name(database, 7)) == 20


@pytest.fixture(scope="module")
def filled(new_settled: Callable[..., Any]) -> Iterator[Any]:
    """Return a home with tracked symbols, real bars and a failed run; its database runs on."""
    shell = new_settled()
    with embedded.lease(shell.home):
        assert shell.run("track", "AAPL", "--source", "watchlist").code == 0
        assert shell.run("track", "MSFT", "AAPL", "--source", "chart_view").code == 0
        done = shell.run("backfill", "AAPL", "MSFT", "--days", "10")
        assert done.code == 0, done.err
        shell.sql("select plan_job_runs(null, 100)")
        shell.sql(
            "update job_runs set status = 'failed', error_code = 'INVALID_SYMBOL',"
            " error_message = 'polygon: no such thing', finished_at = clock_timestamp()"
            " where symbol = 'MSFT' and status = 'queued' returning 1"
        )
        yield shell


@pytest.mark.slow
def test_the_command_and_psql_tell_the_same_of_a_filled_database(filled: Any) -> None:
    done = filled.run("monitor", "--json")
    assert (done.code, done.err) == (0, "")
    ours, theirs = (
        done.json["reports"],
        by_psql(filled.database_url, filled.environment["SWIFTBOLT_NOW"]),
    )
    assert [one["title"] for one in ours] == list(theirs) == TITLES
    for one in ours:
        columns, rows = theirs[one["title"]]
        assert one["columns"] == columns
        assert len(one["rows"]) == len(rows), one["title"]
        for row, texts in zip(one["rows"], rows, strict=True):
            whole = [
                (value, int(text))
                for value, text in zip(row, texts, strict=True)
                if isinstance(value, int) and not isinstance(value, bool)
            ]
            assert all(value == other for value, other in whole), one["title"]


@pytest.mark.slow
def test_the_counts_are_those_of_plain_queries(filled: Any) -> None:
    found = {one["title"]: one for one in filled.run("monitor", "--json").json["reports"]}
    stored = {
        (symbol, timeframe): count
        for symbol, timeframe, count in filled.sql(
            "select ticker, timeframe::text, count(*) from ohlc_bars_v2 b"
            " join symbols s on s.id = b.symbol_id group by 1, 2"
        )
    }
    assert stored["AAPL", "m15"] > 100
    first = found[TITLES[0]]["rows"]
    assert {(row[0], row[1]): row[2] for row in first if row[2]} == stored
    progress = {(row[0], row[1]): row for row in found[TITLES[8]]["rows"]}
    assert set(progress) == {("watchlist", "AAPL"), ("chart_view", "AAPL"), ("chart_view", "MSFT")}
    for (_, symbol), row in progress.items():
        assert row[4:7] == [stored[symbol, name] for name in ORDER]
        (queued,) = filled.sql(
            f"select count(*) from job_runs where symbol = '{symbol}' and status = 'queued'"
        )
        assert row[7] == queued[0]
    failed = found[TITLES[6]]["rows"]
    assert {(row[0], row[2], row[7]) for row in failed} == {
        ("MSFT", "INVALID_SYMBOL", "polygon: no such thing")
    }
    (count,) = filled.sql("select count(*) from job_runs where status = 'failed'")
    assert len(failed) == count[0]


@pytest.mark.slow
def test_the_tables_fit_the_terminal(filled: Any, shell: Any) -> None:
    for home, columns in ((filled, "80"), (shell, "60")):
        done = home.run("monitor", COLUMNS=columns)
        assert (done.code, done.err) == (0, "")
        lines = done.out.splitlines()
        assert [line for line in lines if re.match(r"\d+\. ", line)] == TITLES
        assert max(map(len, lines)) <= int(columns)
    assert done.out.count("(nothing)") == 5


def test_titles_of_the_file_are_numbered_in_order() -> None:
    found = re.findall(r"^\\echo '(.*)'$", FILE.read_text("utf-8"), re.MULTILINE)
    assert found == TITLES
