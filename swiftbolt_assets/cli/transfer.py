"""How far a long dump or load is, told on stderr.

Shared by `backup` and `restore`. What belongs here: when it is told. What does not: dumping and
loading (`resources/postgres/backup/dump.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MB = 1_000_000
#: Told is every so many bytes.
_STEP = 50 * _MB


@contextmanager
def transferred(name: str, total: int = 0) -> Iterator[Callable[[int], None]]:
    """Yield what is told of each piece; long ones show how far they are, on stderr."""
    done = told = 0
    what = Path(name).stem

    def tell(size: int) -> None:
        nonlocal done, told
        done += size
        if done - told >= _STEP:
            told = done
            of = f" of {total / _MB:.0f}" if total else ""
            click.echo(f"{what}: {done / _MB:.0f}{of} MB", err=True)

    yield tell
