"""What Alembic has recorded in a database, and whose record it is.

What belongs here: reading it. What does not: migrating (`resources/schema.py`,
`swiftbolt_assets/orchestration/instance.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swiftbolt_assets.errors import StorageError

if TYPE_CHECKING:
    from resources.postgres.database import Database

_RECORD = """
select to_regclass(%s) is not null, has_table_privilege(record, 'select')
  from to_regclass('alembic_version') record where record is not null
"""


def recorded_revision(database: Database, table: str, variable: str) -> str | None:
    """Return what Alembic has recorded in a database, None for nothing.

    Args:
        database: any.
        table: one that is there since the first revision of whoever owns the record.
        variable: the setting that names the database.

    Raises:
        StorageError: the record is another application's.

    """
    with database.transaction() as connection:
        there = connection.execute(_RECORD, (table,)).fetchone()
        if there is None:
            return None
        is_ours, may_read = there
        found = [("unknown",)]
        if is_ours or may_read:
            found = connection.execute("select version_num from alembic_version").fetchall()
    if found and not is_ours:
        raise StorageError(
            f"{variable}: this database is another application's (its tables are at revision "
            f"{found[0][0]}, and {table} is not among them); use one of its own"
        )
    return str(found[0][0]) if found else None
