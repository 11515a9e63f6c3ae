"""A backfill beside what is measured: two years of one symbol after the other, as fast as it goes.

`python bench/writing.py URL` fills until it is ended, as fast as one core does: a provider without
a limit, and nothing to wait for. What belongs here: that process. What does not: the fill itself
(`filling.py`).
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from filling import fill
from replies import DENSE, record

from resources.bars.symbols import ensure_symbols
from resources.postgres.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def backfilling(database: Database) -> Iterator[None]:
    """Fill symbols of no other use from the block's begin to its end."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__)), database.url], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), "the backfill ended before it began"
        yield
        assert process.poll() is None, "the backfill ended too early"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def main(url: str) -> None:
    """Fill until ended."""
    database = Database(url, timedelta(0))
    recorded = record(1)
    with database.transaction() as connection:
        row = connection.execute("select count(*) from symbols where ticker ~ '[.]C'").fetchone()
    for number in itertools.count(row[0] if row else 0):
        fill(database, recorded, ensure_symbols(database, [f"{DENSE[0]}.C{number}"]))
        print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
