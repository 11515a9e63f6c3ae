"""The embedded Postgres server of a home folder: start, stop, share.

What it holds: the server that serves an installation when SWIFTBOLT_DATABASE_URL is unset, reached
through a Unix socket in a private folder; whoever gets into that folder is its superuser. What
belongs here: the operations other modules use, each serialised by a lock in the home. What does
not: their parts, in `resources/postgres/embedded/place.py` (folders), `account.py` (as whom),
`binaries.py` (programs), `cluster.py` (process), `lock.py` (locks).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from resources.postgres.embedded.cluster import (
    SUPERUSER,
    Cluster,
    accepts,
    require_answer,
    stop_server,
)
from resources.postgres.embedded.lock import drop_lease, exclusive, is_free, take_lease, unusable
from resources.postgres.embedded.place import Place, discard, find, forgotten, resolve, settle
from swiftbolt_assets.database_url import DatabaseUrl
from swiftbolt_assets.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATABASE = "swiftbolt"
DAGSTER_DATABASE = "swiftbolt_dagster"


@dataclass(frozen=True)
class EmbeddedServer:
    """A running or stopped server of one home folder.

    `data`: its data directory; `sockets`: the private folder of its socket; `log`: its log file.
    """

    home: Path
    data: Path
    sockets: Path
    log: Path

    def url(self, database: str) -> str:
        """Return the libpq URL of a database; name the driver yourself for SQLAlchemy."""
        folder = quote(os.fsencode(self.sockets), safe="")
        options = f"host={folder}&port=5432"
        return str(DatabaseUrl(SUPERUSER, None, "", None, database, options))


def locate(home: Path) -> EmbeddedServer:
    """Return the server of a home without starting it.

    Root's server may move out of an unreachable home at its first start; ask again after that.
    """
    resolved = resolve(home)
    return _server(resolved, find(resolved))


def start(home: Path) -> EmbeddedServer:
    """Return the home's server once it accepts connections and its two databases exist.

    Safe to repeat and to run several times at once. Raises ConfigurationError when the home cannot
    be used, StorageError when the server cannot run or answers nobody.
    """
    server, _ = _started(home)
    return server


def revive(home: Path) -> bool:
    """Start the home's server unless it runs; return whether it had to be. Raises as `start`."""
    return not is_running(home) and _started(home)[1]


def _started(home: Path) -> tuple[EmbeddedServer, bool]:
    resolved = resolve(home)
    # Before the lock: whoever holds it may be waiting for the same.
    require_answer(find(resolved))
    with exclusive(resolved, "start") as lock:
        place, account = settle(resolved)
        _retire_forgotten(resolved)
        was_down = Cluster(place, account).start(lock)
        server = _server(resolved, place)
        _make_databases(server)
    return server, was_down


def stop(home: Path) -> bool:
    """Stop the home's server, fast; return whether there was one."""
    resolved = resolve(home)
    if not resolved.exists():
        return False
    with exclusive(resolved, "start"):
        return stop_server(find(resolved))


def is_running(home: Path) -> bool:
    """Return whether the home's server accepts connections, found out by asking it."""
    return accepts(find(resolve(home)))


@contextmanager
def lease(home: Path, *, keep: bool = False) -> Iterator[EmbeddedServer]:
    """Hold the running server; the last holder to leave, however it ends, stops it.

    `keep` leaves it running for a shell that goes on using it, until `release_keep`. A holder
    killed by `kill -9` holds nothing any more. A fork of the holder holds nothing either.
    """
    resolved = resolve(home)
    held = take_lease(resolved)
    place = find(resolved)
    try:
        server = start(resolved)
        place = find(resolved)
        if keep:
            _mark_kept(resolved)
        yield server
    finally:
        if drop_lease(held):
            _stop_unused(resolved, place)


def release_keep(home: Path) -> None:
    """Undo `lease(keep=True)`: from now on the last holder to leave stops the server."""
    (resolve(home) / "postgres.keep").unlink(missing_ok=True)


def erase(home: Path) -> None:
    """Stop the home's server and delete its data, all of it, wherever it lies."""
    resolved = resolve(home)
    if not resolved.exists():
        return
    with exclusive(resolved, "start"):
        places = [find(resolved), *forgotten(resolved)]
        for place in places:
            stop_server(place)
        discard(places)
        for name in ("place", "keep"):
            (resolved / f"postgres.{name}").unlink(missing_ok=True)


def _server(home: Path, place: Place) -> EmbeddedServer:
    return EmbeddedServer(home, place.data, place.sockets, place.log)


def _mark_kept(home: Path) -> None:
    try:
        (home / "postgres.keep").touch()
    except OSError as error:
        raise unusable(home, error) from error


def _stop_unused(home: Path, place: Place) -> None:
    if not home.exists():  # removed under our feet, the locks with it
        stop_server(place)
        return
    with exclusive(home, "start"):
        # Whoever takes the lease after this look waits for the start lock and starts anew.
        if is_free(home, "lease") and not (home / "postgres.keep").exists():
            stop_server(place)


def _retire_forgotten(home: Path) -> None:
    """Stop the servers of removed homes of this path and keep only the latest one's data.

    The latest stays because its home may have been moved and not been used since.
    """
    places = forgotten(home)
    for place in places:
        stop_server(place)
    discard(places[:-1])


def _make_databases(server: EmbeddedServer) -> None:
    import psycopg
    from psycopg import sql

    try:
        with psycopg.connect(
            server.url("postgres"), autocommit=True, connect_timeout=30
        ) as connection:
            rows = connection.execute("select datname from pg_database").fetchall()
            existing = {name for (name,) in rows}
            for name in (DATABASE, DAGSTER_DATABASE):
                if name not in existing:
                    connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise StorageError(f"cannot make the databases: {error} (see {server.log})") from error
