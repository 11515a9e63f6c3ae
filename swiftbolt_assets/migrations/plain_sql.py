"""Runs the plain SQL files of a revision.

The driver must see the text as it is: Alembic's `op.execute` would take `:word` for a bind, and
psycopg `%` for a placeholder.
"""

from __future__ import annotations

from importlib.resources import files

from alembic import op


def run_sql(*names: str) -> None:
    """Run files of `migrations/sql/` in the given order, each with any number of statements."""
    connection = op.get_bind().execution_options(no_parameters=True)
    folder = files(__package__).joinpath("sql")
    for name in names:
        connection.exec_driver_sql(folder.joinpath(name).read_text("utf-8"))
