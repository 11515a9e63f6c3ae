"""Log files that stay small while the processes that write them run on.

A process holds its file open for appending, so the file is copied aside and emptied rather than
renamed: what is written between the two is lost, a line at most. What belongs here: files. What
does not: what is written (`cli/commands/serve.py`, Dagster).
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Of each file; its predecessor is kept beside it.
LARGEST_BYTES = 5_000_000


def rotate(folder: Path, largest: int = LARGEST_BYTES) -> None:
    """Put each log of a folder aside that is too big, over its predecessor.

    Raises:
        OSError: there is no room, say; nothing was emptied.

    """
    for path in folder.glob("*.log"):
        rotate_file(path, largest)


def rotate_file(path: Path, largest: int = LARGEST_BYTES) -> None:
    """Put a log aside if it is too big, over its predecessor.

    Raises:
        OSError: there is no room, say; nothing was emptied.

    """
    if path.stat().st_size > largest:
        shutil.copyfile(path, path.with_suffix(".log.old"))
        with path.open("r+b") as log:
            log.truncate()
