"""Runs the plain SQL files of this folder.

`sql/` is what happened to tables, a file a revision and noun, run once, by `versions/`.
`functions/` is the present: every function, trigger and view once, by noun; all are put in place
again whenever a text changed. `earlier/` brings databases over that were made before the baseline.

The driver must see the text as it is: Alembic's `op.execute` would take `:word` for a bind. And
commands ask for the functions' version, so nothing here imports Alembic, which would cost 0.4 s.
"""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    import psycopg

#: The first revision of this chain; what databases of earlier ones become.
BASELINE = "0025"
#: What views call, which must be there before them.
_FIRST = ("timeframes.sql",)
#: Revisions before the baseline that changed functions only, and the first that is brought over.
_WITHOUT_TABLES = frozenset({"0007", "0013", "0017", "0024"})


def run_sql(connection: psycopg.Connection, *names: str) -> None:
    """Run files in the given order, each with any number of statements."""
    for name in names:
        _run(connection, files(__package__).joinpath(name))


def install_functions(connection: psycopg.Connection) -> None:
    """Put every function, trigger and view in place as it is now.

    A revision removes what `create or replace` cannot: one that is gone, or takes or returns other
    columns than before.
    """
    # A body may name what stands in a file that comes later.
    connection.execute("set local check_function_bodies = off")
    for file in _texts("functions"):
        _run(connection, file)
    connection.execute(
        "insert into installation (name, value) values ('functions', %s)"
        " on conflict (name) do update set value = excluded.value, changed_at = clock_timestamp()"
        " where installation.value <> excluded.value",
        (functions_version(),),
    )


def functions_version() -> str:
    """Return the hash of all functions' texts."""
    return sha256(b"".join(file.read_bytes() for file in _texts("functions"))).hexdigest()


def earlier_revisions() -> set[str]:
    """Return the revisions before the baseline from which a database can be brought over."""
    return {_revision(file) for file in _texts("earlier")} | _WITHOUT_TABLES


def bring_over(connection: psycopg.Connection, revision: str) -> None:
    """Make of an earlier revision's database what the baseline makes of an empty one.

    First the tables, then the functions as they are now, then what the changes meant for stored
    rows, so that no row is mended by a trigger of former times.
    """
    due = [file for file in _texts("earlier") if _revision(file) > revision]
    for file in due:
        if file.name.endswith("_tables.sql"):
            _run(connection, file)
    install_functions(connection)
    for file in due:
        if file.name.endswith("_rows.sql"):
            _run(connection, file)
    connection.execute("update alembic_version set version_num = %s", (BASELINE,))


def _texts(folder: str) -> list[Traversable]:
    found = files(__package__).joinpath(folder).iterdir()
    texts = [one for one in found if one.name.endswith(".sql")]
    return sorted(texts, key=lambda one: (one.name not in _FIRST, one.name))


def _revision(file: Traversable) -> str:
    return file.name.partition("_")[0]


def _run(connection: psycopg.Connection, file: Traversable) -> None:
    connection.execute(file.read_text("utf-8").encode())
