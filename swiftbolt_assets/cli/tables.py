"""Tables on a terminal: aligned columns, as wide as the terminal at most.

What belongs here: how rows look. What does not: which rows (`cli/commands/monitor.py`).
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GAP = "  "
_NARROWEST = 3
#: Where there is no terminal, nothing is cut.
_UNBOUNDED = 10_000


def terminal_width() -> int:
    """Return the columns of the terminal; practically no bound without one."""
    return shutil.get_terminal_size((_UNBOUNDED, 24)).columns


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> Iterator[str]:
    """Yield a heading and one line a row, each at most `width` columns.

    The widest columns are cut first; numbers stand to the right.
    """
    cells = [[_text(value) for value in row] for row in rows]
    headings = [name.replace("_", " ") for name in columns]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    room = width - len(_GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    right = [
        any(row[place] is not None for row in rows)
        and all(_is_number(row[place]) for row in rows if row[place] is not None)
        for place in range(len(columns))
    ]
    for line in (headings, *cells):
        fitted = [
            cell.rjust(size) if to_right else cell.ljust(size)
            for cell, size, to_right in zip(map(_cut, line, widths), widths, right, strict=True)
        ]
        yield _GAP.join(fitted).rstrip()


def one_line(text: str) -> str:
    """Return a text without what would steer the terminal or break the line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: object) -> str:
    """Return a value for people, on one line; times are UTC."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
        case _:
            return one_line(str(value))
