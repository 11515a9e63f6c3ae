"""`swiftbolt doctor`: what is wrong with this installation and how to mend it.

It asks no provider anything: requests are scarce. What belongs here: checks that end in one line
each. Exit code 0 when nothing is wrong, 1 otherwise.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from resources.providers.registry import NAMES, PROVIDERS
from swiftbolt_assets.cli.installation import opened
from swiftbolt_assets.database_url import DatabaseUrl
from swiftbolt_assets.errors import StorageError, SwiftBoltError
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.policy.admission import lowest
from swiftbolt_assets.policy.shards import shards_needed
from swiftbolt_assets.policy.storage_growth import bytes_a_session
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from pathlib import Path

    from resources.postgres.database import Database
    from swiftbolt_assets.settings import Settings

_FREE_BYTES = 1_000_000_000
_CALENDAR_DAYS = 365
_UPGRADE = "upgrade swiftbolt: a newer release knows what follows"
_MB = 1_000_000
_PRUNING_IS_LATE = timedelta(days=7)
#: A page of the list of tickers that failed so often in a row, an hour, is told.
_FAILING = 3


@dataclass(frozen=True)
class Finding:
    """One checked thing.

    Attributes:
        subject: what was looked at.
        good: whether it is well.
        text: what was seen; for a bad one, what to do.

    """

    subject: str
    good: bool
    text: str


def run_doctor() -> None:
    """Check and print; exits with 1 when something is wrong."""
    findings = list(_findings())
    for finding in findings:
        click.echo(f"{'ok ' if finding.good else 'BAD'}  {finding.subject:<10} {finding.text}")
    sys.exit(0 if all(finding.good for finding in findings) else 1)


def _findings() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding("python", good=True, text=version)
    try:
        settings = read_settings()
    except SwiftBoltError as error:
        yield Finding("settings", good=False, text=str(error))
        return
    yield from _local(settings)
    try:
        with opened(settings) as installation:
            yield from _database(settings, installation.database)
    except SwiftBoltError as error:
        yield Finding("database", good=False, text=str(error))


def _local(settings: Settings) -> Iterator[Finding]:
    yield _home(settings.home)
    first, *others = (" or ".join(provider.key_variables) for provider in PROVIDERS)
    source = f"simulated: set {first} (and {', '.join(others)}) for real bars"
    if not settings.simulated:
        missing = [
            f"{provider.key_variable} ({provider.role} is off)"
            for provider in PROVIDERS
            if not settings.is_on(provider)
        ]
        source = f"real; unset: {', '.join(missing)}" if missing else "real"
    yield Finding("providers", good=True, text=source)
    yield Finding("tokens", good=True, text=_tokens(settings))
    yield calendar_finding(settings.clock.today(), xnys().last)


def calendar_finding(today: date, last: date) -> Finding:
    """Return whether the calendar on board, which ends on a date, lasts for a year."""
    is_enough = (last - today).days > _CALENDAR_DAYS
    text = f"the exchange's sessions are known to {last}"
    return Finding("calendar", good=is_enough, text=text if is_enough else f"{text}; {_UPGRADE}")


def _tokens(settings: Settings) -> str:
    """Return whose tokens are a person's."""
    keys = settings.jwks_url and f" or by the keys at {settings.jwks_url}"
    return (
        f"signed with SWIFTBOLT_JWT_SECRET{keys or ''}; issuer {settings.jwt_issuer or 'any'}, "
        f"audience {settings.jwt_audience or 'authenticated'}"
    )


def _home(home: Path) -> Finding:
    place = home
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("home", good=False, text=f"SWIFTBOLT_HOME: {home} cannot be written to")
    free = shutil.disk_usage(place).free
    text = f"{home}, {free / 1e9:.1f} GB free"
    if free < _FREE_BYTES:
        return Finding("home", good=False, text=f"{text}: make room, two years take 20 MB a symbol")
    return Finding("home", good=True, text=text)


def _database(settings: Settings, database: Database) -> Iterator[Finding]:
    with database.connect() as connection:
        version = connection.info.server_version
    kind = DatabaseUrl.parse(settings.database_url).shown if settings.database_url else "embedded"
    yield Finding("database", good=True, text=f"{kind}, Postgres {version // 10000}")
    workers = (_workers,) if settings.profile == "celery" else ()
    checks = (
        _connections,
        _schema,
        _work,
        _source,
        _growth,
        _partitions,
        _cool_downs,
        _answers,
        _names,
        _platform,
        *workers,
    )
    for check in checks:
        yield _guarded(check, settings, database)


def _guarded(
    check: Callable[[Settings, Database], Finding], settings: Settings, database: Database
) -> Finding:
    try:
        return check(settings, database)
    except SwiftBoltError as error:
        return Finding("database", good=False, text=str(error))


def _connections(settings: Settings, database: Database) -> Finding:
    from resources.postgres.limits import allowed, limits, needed
    from swiftbolt_assets.orchestration.instance import dagster_database

    if not _is_newest(database):
        return Finding("limits", good=True, text="not counted before swiftbolt migrate")
    # One run more than those of the queue: the list of tickers, a tidying.
    runs = settings.max_concurrent_jobs + 1
    dagster = dagster_database(settings)
    # One after the other: there may be room for one only.
    with database.connect() as connection:
        bars = allowed(connection)
    with dagster.connect() as connection:
        sides = bars, allowed(connection)
    found = list(limits(*sides, runs))
    scarce = [limit for limit in found if not limit.is_enough]
    total = sum(needed(runs))
    if not scarce:
        least = min(limit.allowed for limit in found)
        return Finding("limits", good=True, text=f"{least} connections, {total} needed at most")
    told = "; ".join(
        f"{limit.whose} allows {limit.allowed} connections, {limit.needed} are needed"
        for limit in scarce
    )
    fewer = [n for n in range(1, runs - 1) if all(one.is_enough for one in limits(*sides, n + 1))]
    lower = f", or set MAX_CONCURRENT_JOBS={fewer[-1]}" if fewer else ""
    return Finding("limits", good=False, text=f"{told}: raise the limit{lower}")


def _schema(_settings: Settings, database: Database) -> Finding:
    from resources.schema import has_newest_functions, newest_revision, revision

    have, want = revision(database), newest_revision()
    if have == want and has_newest_functions(database):
        return Finding("schema", good=True, text=f"{have}, the newest")
    if have == want:
        have = f"{have}, with another version's functions"
    return Finding("schema", good=False, text=f"{have or 'none'}; run swiftbolt migrate")


def _work(settings: Settings, database: Database) -> Finding:
    from resources.platform.dagster_state import DagsterState
    from resources.postgres.probing import probe
    from swiftbolt_assets.orchestration.instance import dagster_database

    if not _is_newest(database):
        return Finding("work", good=True, text="not tried before the schema is the newest")
    with database.connect() as connection:
        probe(connection)
    dagster = DagsterState(dagster_database(settings))
    try:
        if dagster.revision() is not None:
            dagster.probe()
    except StorageError as error:
        return Finding("work", good=False, text=f"Dagster's {error}")
    return Finding("work", good=True, text="rows can be written, slots taken, callers served")


def _source(settings: Settings, database: Database) -> Finding:
    from resources.bars.overview import data_source
    from resources.schema import revision

    if revision(database) is None:
        return Finding("bars", good=True, text="none yet")
    held = data_source(database)
    wanted = "simulated" if settings.simulated else "real"
    if held in {None, wanted}:
        return Finding("bars", good=True, text=held or "none yet")
    return Finding(
        "bars",
        good=False,
        text=f"the database holds {held} bars, the keys ask for {wanted} ones; "
        "use another SWIFTBOLT_HOME or database",
    )


def _is_newest(database: Database) -> bool:
    from resources.schema import is_newest

    return is_newest(database)


def _growth(settings: Settings, database: Database) -> Finding:
    from resources.bars.live import LiveBook
    from resources.platform.dagster_history import DagsterHistory
    from resources.platform.retention import Retention
    from swiftbolt_assets.orchestration.instance import dagster_database

    if not _is_newest(database):
        return Finding("growth", good=True, text="not known yet")
    dagster = dagster_database(settings)
    book = Retention(database)
    found = book.growth(DagsterHistory(dagster).size())
    sizes = f"bars {found.bars_bytes / _MB:.0f} MB, Dagster {found.dagster_bytes / _MB:.0f} MB"
    bound = f"runs, events and requests go after {settings.retention_days} days"
    wanted = LiveBook(database).watched_count(least_priority=lowest(background=settings.background))
    if wanted:
        expected = bytes_a_session(wanted, until_pruned=False) / _MB
        bound = f"a session's bars of {wanted:,} symbols take {expected:.1f} MB, {bound}"
    if not found.days:
        return Finding("growth", good=True, text=f"{sizes}; a day's is known tomorrow; {bound}")
    pace = (
        f"{found.bars_a_day / _MB:+.1f} and {found.dagster_a_day / _MB:+.1f} MB a day"
        f" over {found.days:.0f} days"
    )
    age = book.age()
    if age > _PRUNING_IS_LATE:
        text = f"{sizes}, {pace}; old rows were last pruned {age.days} days ago: run swiftbolt up"
        return Finding("growth", good=False, text=text)
    return Finding("growth", good=True, text=f"{sizes}, {pace}; {bound}")


def _partitions(settings: Settings, database: Database) -> Finding:
    from resources.bars.symbols import partition_tickers

    if not _is_newest(database):
        return Finding("partitions", good=True, text="not known yet")
    symbols = len(partition_tickers(database))
    days = len(xnys().between(settings.first_date, settings.clock.today()))
    needed = shards_needed(symbols, days)
    text = f"{symbols:,} symbols x {days} days"
    text += f" over {settings.shards} shards" if settings.shards > 1 else ""
    if needed <= settings.shards:
        return Finding("partitions", good=True, text=text)
    return Finding(
        "partitions",
        good=False,
        text=f"{text}: launching and the Dagster UI take seconds; set SWIFTBOLT_SHARDS={needed}",
    )


def _cool_downs(_settings: Settings, database: Database) -> Finding:
    from resources.providers.health import ProviderHealth
    from resources.schema import revision

    if revision(database) is None:
        return Finding("requests", good=True, text="none yet")
    health = ProviderHealth(database.transaction)
    cooling = [str(found.error()) for name in NAMES if (found := health.cooling(name))]
    return Finding(
        "requests", good=not cooling, text="; ".join(cooling) or "no provider is cooling down"
    )


def _answers(_settings: Settings, database: Database) -> Finding:
    from resources.providers.trouble import present_troubles

    if not _is_newest(database):
        return Finding("answers", good=True, text="not known yet")
    with database.transaction() as connection:
        found = [trouble.text for trouble in present_troubles(connection)]
    if not found:
        return Finding("answers", good=True, text="no symbol gets nothing while others do")
    return Finding(
        "answers",
        good=False,
        text=f"{'; '.join(found)}; it is asked again by itself, swiftbolt status tells when: check "
        "the symbol, or swiftbolt jobs set SYMBOL --disabled",
    )


def _names(_settings: Settings, database: Database) -> Finding:
    from resources.bars.listed_tickers import TickerList

    if not _is_newest(database):
        return Finding("names", good=True, text="not looked at before the schema is the newest")
    state = TickerList(database).state()
    text = f"{state.tickers:,} tickers listed on {state.listed_on}"
    if state.listed_on is None:
        text = f"no list yet, {state.arrived:,} so far: search works by ticker"
    if state.failures < _FAILING:
        return Finding("names", good=True, text=text)
    return Finding(
        "names",
        good=False,
        text=f"{text}; the next page fails, asked again by itself: {state.error}",
    )


def _platform(settings: Settings, _database: Database) -> Finding:
    from swiftbolt_assets.orchestration.platform.presence import answers, find_platform

    platform = find_platform(settings)
    if platform is None:
        return Finding("platform", good=True, text="stopped; swiftbolt up starts it")
    if answers(platform):
        return Finding("platform", good=True, text=f"running, {platform.dagster_url}")
    return Finding(
        "platform", good=False, text=f"it does not answer; see the logs in {settings.home / 'log'}"
    )


def _workers(settings: Settings, database: Database) -> Finding:
    from swiftbolt_assets.orchestration.engines import require_engine

    try:
        require_engine(settings)
        if not _is_newest(database):
            return Finding("workers", good=True, text="not known yet")

        from swiftbolt_assets.orchestration.celery.slots import require_workers

        found = require_workers(settings, database)
    except SwiftBoltError as error:
        return Finding("workers", good=False, text=str(error))
    return Finding("workers", good=True, text=found)
