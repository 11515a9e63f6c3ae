"""File locks of one home folder, released by the kernel when their holder dies.

What belongs here: taking and dropping the two locks (`start`: one process at a time changes the
server's state; `lease`: many share the running server). What does not: what is done under them
(`resources/postgres/embedded/server.py`). The files lie in the home itself: a lock in a folder
shared by all users of a machine would shut the second user out. Look next at
`resources/postgres/embedded/server.py`.
"""

from __future__ import annotations

import fcntl
import functools
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_leases: set[int] = set()
"""Descriptors of the leases that this process holds."""


def open_lock(home: Path, name: str) -> int:
    """Return a descriptor of the lock file `home`/postgres.`name`, closed in every program run.

    Raises ConfigurationError when the home cannot be made or written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        # A link planted in the home must not make a privileged process create files elsewhere.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(home / f"postgres.{name}", flags, 0o600)
    except OSError as error:
        raise unusable(home, error) from error


def unusable(home: Path, error: OSError) -> ConfigurationError:
    """Return the error that tells which folder is refused and which variable names another."""
    reason = error.strerror or type(error).__name__
    return ConfigurationError(
        f"SWIFTBOLT_HOME: {str(home)!r} cannot be used ({reason}); set it to a folder you may write"
    )


@contextmanager
def exclusive(home: Path, name: str) -> Iterator[int]:
    """Wait for the lock, hold it alone, yield its descriptor."""
    descriptor = open_lock(home, name)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def is_free(home: Path, name: str) -> bool:
    """Return whether nobody holds the lock at this moment."""
    descriptor = open_lock(home, name)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def take_lease(home: Path) -> int:
    """Return the descriptor of a shared lock on the home's lease, kept from forked children."""
    _close_leases_in_children()
    descriptor = open_lock(home, "lease")
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    _leases.add(descriptor)
    return descriptor


def drop_lease(descriptor: int) -> bool:
    """Drop a lease; return False when this process is a fork that never held it."""
    if descriptor not in _leases:
        return False
    _leases.remove(descriptor)
    os.close(descriptor)
    return True


@functools.cache
def _close_leases_in_children() -> None:
    # A fork shares the open file, and with it the lock: the child would hold the parent's lease
    # for as long as it lives. Closing the child's copy leaves the parent's lock in place.
    os.register_at_fork(after_in_child=_close_leases)


def _close_leases() -> None:
    while _leases:
        os.close(_leases.pop())
