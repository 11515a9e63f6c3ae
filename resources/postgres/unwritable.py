"""How a database says that its disk is full or that it is read-only, and what a person can do.

What belongs here: telling it from other troubles by what the server says. What does not: raising it
(`database.py`, `postgres/embedded/cluster.py`).
"""

from __future__ import annotations

MAKE_WRITABLE = (
    "a managed server does that when its disk is full, a standby always; make room, or end "
    "default_transaction_read_only, and it goes on by itself"
)
MAKE_ROOM = "make room on the database's disk, and it goes on by itself"
# As the server's kernel words them: a full disk, a quota, a limit on a file's size.
_REASONS = ("No space left on device", "Disk quota exceeded", "File too large")


def no_room_in(text: str) -> str | None:
    """Return the reason that a server's message gives for having no room, None for another."""
    return next((reason for reason in _REASONS if reason in text), None)
