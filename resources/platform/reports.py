r"""The ten monitoring reports, read from the SQL file that psql runs as well.

In the file a line `\echo 'title'` stands above each statement. What belongs here: running them.
What does not: the statements (`swiftbolt_assets/monitoring`), and drawing tables
(`swiftbolt_assets/cli/tables.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, LiteralString, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.postgres.database import Database

_TITLE = re.compile(r"^\\echo '(.*)'$", re.MULTILINE)


@dataclass(frozen=True)
class Report:
    """One report.

    Attributes:
        title: with its number.
        columns: names, in order.
        rows: values, one for each column.

    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def reports(database: Database) -> list[Report]:
    """Return all reports, in their order, of one moment."""
    found = []
    with database.transaction() as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        for title, statement in statements():
            cursor = connection.execute(statement)
            columns = [column.name for column in cursor.description or ()]
            found.append(Report(title, columns, cursor.fetchall()))
    return found


def statements() -> list[tuple[str, LiteralString]]:
    """Return title and statement of each report, in their order."""
    file = files("swiftbolt_assets.monitoring") / "monitor_multi_timeframe.sql"
    _, *parts = _TITLE.split(file.read_text("utf-8"))
    # The file ships with the package: nobody's input is in it.
    return [
        (title, cast("LiteralString", statement.strip().removesuffix(";")))
        for title, statement in zip(parts[::2], parts[1::2], strict=True)
    ]
