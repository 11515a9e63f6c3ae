"""Ten thousand symbols with two years in the ledger: what planning, ticks, looks and answers take.

The ledger is filled by SQL, since bars of ten thousand symbols take 30 GB; one symbol has its bars.
No limit on requests. What belongs here: how each look grows with the number of symbols. What does
not: Dagster's part, which grows with partitions (`shards.py`).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from filling import fill
from live import ANYBODY
from planning import WAIT_TARGET_S, define, plan_everything
from process import COMMAND, clean_environment
from replies import TODAY, WALL
from results import Group, Line, milliseconds, spread
from served import Client, serving
from server import FIRST_PARTITION
from timing import Timings, timed

from resources.bars.live import LiveBook
from resources.bars.symbols import ensure_symbols, partition_tickers
from resources.platform.retention import Retention
from resources.postgres.database import Database
from resources.storage import open_storage
from sensors.backfill import Rules, take_on
from sensors.live import reason_to_wait as live_reason
from sensors.splits import reason_to_wait as splits_reason
from swiftbolt_assets.assets.checks.fresh import fresh_now
from swiftbolt_assets.cli.commands.status import report_of
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.policy.freshness import due
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from replies import Recorded
    from server import Server

    from resources.storage import Storage
    from swiftbolt_assets.settings import Settings

FULL, QUICK = 10_000, 1_000
PLAN_TARGET_S, PLAN_TARGET_MB = 60.0, 1_000.0
TICK_TARGET_S, ANSWER_TARGET_S, REPORT_TARGET_S, COMMAND_TARGET_S = 1.0, 0.100, 1.0, 5.0
SERVICE_KEY = "the-service-key-of-the-benchmarks"
_COMPLETE, _OPEN = "AAPL", "S00002"
_AT_ONCE = 500
_COMMANDS = {
    "swiftbolt status, whole process": ("status",),
    "swiftbolt status --json, whole process": ("status", "--json"),
    "swiftbolt coverage AAPL, whole process": ("coverage", _COMPLETE),
    "swiftbolt doctor, whole process": ("doctor",),
    "swiftbolt monitor, whole process": ("monitor",),
}
_SETTLE = """
insert into session_coverage
  (symbol_id, day, state, expected, bars, answers, provider, settled_at)
select s.id, m.day, 'final', n.slots, n.slots, 1, 'polygon', clock_timestamp()
  from symbols s cross join market_sessions m
  cross join lateral (select (extract(epoch from m.closes - m.opens) / 900)::integer as slots) n
 where s.ticker between %(first)s and %(last)s and s.ticker <> %(open)s
   and m.day >= %(since)s and m.day < market_today()
on conflict do nothing
"""
_DONE = """
update job_runs set status = 'success', rows_written = 1000, provider = 'polygon',
  started_at = clock_timestamp(), finished_at = clock_timestamp() where symbol <> %s
"""
_ASKED = """
insert into provider_requests
  (provider, endpoint, symbol, sent_at, seconds, status, outcome, bars, base_minutes)
select case when n %% 20 = 0 then 'polygon' else 'tradier' end, 'timesales',
  'S' || lpad((n %% %(symbols)s + 1)::text, 5, '0'),
  clock_timestamp() - n * (interval '7 days' / %(rows)s), 0.05, 200, 'ok', 26, 390
  from generate_series(1, %(rows)s) n
"""
_LOOKED_AT = """
insert into user_symbol_tracking (user_id, symbol_id, source)
select %s, id, 'recent_search' from symbols where ticker like 'S_____'
"""
_REFRESHED = """
insert into live_refreshes (symbol_id, refreshed_at, closed_through)
select id, market_now() - interval '10 minutes' * random(), market_now() - interval '20 minutes'
  from symbols where ticker like 'S_____'
"""


def measure(server: Server, recorded: Recorded, symbols: int, repetitions: int) -> Group:
    """Return the group."""
    group = Group(f"{symbols:,} tracked symbols, two years of each in the ledger, no budget")
    group.data["load"] = round(os.getloadavg()[0], 2)
    with server.database() as opened:
        database = Database(opened.url, WALL - datetime.now(UTC))
        environment = _environment(server, database)
        settings = read_settings(environment)
        storage = open_storage(database, settings.clock)
        _plan(group, database, symbols)
        _fill(database, recorded, symbols)
        server.settle()
        for what, (look, target) in _looks(settings, storage).items():
            _line(group, what, Timings(tuple(timed(look) for _ in range(repetitions))), target)
        with serving(database, {"SWIFTBOLT_SERVICE_KEY": SERVICE_KEY}) as port:
            for what, ask in _questions(port).items():
                ask()
                asked = Timings(tuple(timed(ask) for _ in range(repetitions * 4)))
                _line(group, what, asked, ANSWER_TARGET_S)
        for what, arguments in _COMMANDS.items():
            seconds = timed(partial(_command, arguments, environment))
            _line(group, what, Timings((seconds,)), COMMAND_TARGET_S)
        # Last: it leaves less behind.
        seconds = timed(lambda: Retention(database).prune(WALL, timedelta(days=30)))
        _line(group, "retention: a week's requests, all slices", Timings((seconds,)), None)
        storage.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    group.lines.append(Line("peak memory of this process", f"{peak:.0f} MB"))
    group.data["peak_mb"] = round(peak, 1)
    return group


def _plan(group: Group, database: Database, symbols: int) -> None:
    """Plan everything from empty."""
    define(database, symbols)
    found = plan_everything(database)
    assert found.rows >= symbols * 3 * 10, f"{found.rows} slices of {symbols} symbols"
    group.lines += [
        Line(
            f"planning from empty: {found.rows:,} slices",
            f"{found.seconds:.1f} s",
            target=f"<= {PLAN_TARGET_S:.0f} s",
            reached=found.seconds <= PLAN_TARGET_S,
        ),
        Line(
            "  memory of the server process, its own",
            f"{found.own_memory_mb:.0f} MB",
            target=f"<= {PLAN_TARGET_MB:.0f} MB",
            reached=found.own_memory_mb <= PLAN_TARGET_MB,
        ),
        Line(
            "  longest wait of one symbol meanwhile",
            milliseconds(found.longest_wait_s),
            target=f"<= {WAIT_TARGET_S:.0f} s",
            reached=found.longest_wait_s <= WAIT_TARGET_S,
        ),
    ]
    group.data["plan"] = asdict(found)


def _fill(database: Database, recorded: Recorded, symbols: int) -> None:
    """Have one symbol's bars, and the ledger, requests and refreshes of all others but one."""
    fill(database, recorded, ensure_symbols(database, [_COMPLETE]))
    with database.connect() as connection:
        # Without triggers that announce: nobody listens, and five million rows are many.
        connection.execute("set session_replication_role = replica")
        connection.execute(
            "insert into symbols (ticker) select distinct symbol from job_definitions"
            " on conflict do nothing"
        )
        for first in range(1, symbols + 1, _AT_ONCE):
            names = {"first": f"S{first:05}", "last": f"S{first + _AT_ONCE - 1:05}"}
            connection.execute(_SETTLE, names | {"since": FIRST_PARTITION, "open": _OPEN})
        connection.execute(_DONE, (_OPEN,))
        connection.execute(_ASKED, {"symbols": symbols, "rows": symbols * 100})
        connection.execute(_LOOKED_AT, (ANYBODY,))
        connection.execute(_REFRESHED)
        connection.execute("set session_replication_role = origin")
        connection.execute("select recount_session_totals()")
        connection.execute("select plan_job_runs()")
        connection.execute("vacuum (analyze)")


def _looks(settings: Settings, storage: Storage) -> dict[str, tuple[Callable[[], object], float]]:
    """Return what the platform and its commands look at, with the limit of each in seconds."""
    rules = Rules(FIRST_PARTITION, 0, background=True)
    session = xnys().session(storage.clock.today())
    assert session is not None
    book = LiveBook(storage.database)

    def live_due() -> None:
        watched = book.watched()
        assert due(watched, session, storage.clock.now()), "nobody is due"

    return {
        "idle tick: plan, claim, reap": (
            lambda: (
                take_on(storage, rules),
                storage.work.plan_doubted(),
                storage.work.reset_stale(),
            ),
            TICK_TARGET_S,
        ),
        "tick of the live schedule": (lambda: live_reason(storage, 0), TICK_TARGET_S),
        "tick of the splits sensor": (lambda: splits_reason(storage), TICK_TARGET_S),
        "who is due for a live refresh": (live_due, TICK_TARGET_S),
        "check fresh": (lambda: fresh_now(storage), TICK_TARGET_S),
        "partitions of all symbols": (lambda: partition_tickers(storage.database), TICK_TARGET_S),
        "status, its report: a row a symbol": (
            lambda: report_of(settings, storage.database, None),
            REPORT_TARGET_S,
        ),
        "status AAPL, its report": (
            lambda: report_of(settings, storage.database, _COMPLETE),
            ANSWER_TARGET_S,
        ),
    }


def _questions(port: int) -> dict[str, Callable[[], object]]:
    """Return what is asked of the API."""
    people, operator = Client(port), Client(port, SERVICE_KEY)

    def ensure(symbol: str, status: str) -> None:
        body = {"symbol": symbol, "timeframe": "h1", "window_days": 730}
        found = json.loads(people.post("ensure-coverage", body))
        assert found["status"] == status, found

    span = {"start": f"{TODAY - timedelta(days=730)}T00:00:00Z", "end": f"{TODAY}T00:00:00Z"}
    chart = {"symbol": _COMPLETE, "timeframe": "h1", **span}
    return {
        "ensure-coverage, complete": partial(ensure, _COMPLETE, "coverage_complete"),
        "ensure-coverage, incomplete": partial(ensure, _OPEN, "gaps_detected"),
        "orchestrator status": lambda: operator.post("orchestrator?action=status", {}),
        "chart-data-v2, two years of h1": lambda: people.post("chart-data-v2", chart),
        "symbols-search": lambda: people.get("functions/v1/symbols-search?q=S000"),
        "/health": lambda: people.get("health"),
        "/metrics": lambda: operator.get("metrics"),
    }


def _line(group: Group, what: str, timings: Timings, target: float | None) -> None:
    group.lines.append(
        Line(
            what,
            f"p95 {milliseconds(timings.p95)}",
            spread(timings.seconds),
            target=None if target is None else f"p95 <= {milliseconds(target)}",
            reached=None if target is None else timings.p95 <= target,
        )
    )
    group.data[what] = timings.as_json()


def _environment(server: Server, database: Database) -> dict[str, str]:
    return clean_environment(server.home / "commands") | {
        "SWIFTBOLT_DATABASE_URL": database.url,
        "SWIFTBOLT_DAGSTER_URL": server.dagster_url,
        "SWIFTBOLT_NOW": WALL.isoformat(),
        "TRADIER_REQUESTS_PER_MINUTE": "0",
        # As many as doctor wants for all of them.
        "SWIFTBOLT_SHARDS": "21",
    }


def _command(arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    subprocess.run([str(COMMAND), *arguments], env=environment, check=True, capture_output=True)
