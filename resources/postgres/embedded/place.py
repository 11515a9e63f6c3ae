"""Where the database of one home folder lies: its state folder and its sockets.

The state folder is `home`/postgres. Root's server runs as an unprivileged account; where that
account cannot reach the home (a checkout below /root), the state folder lies in /var/lib/swiftbolt
and two notes name each other: `home`/postgres.place the state folder, `home.txt` in it the home.
A home that was removed and made anew has no note, so the old data never comes back to life.

What belongs here: paths, the two notes, privacy of the folders. What does not: the server itself
(`resources/postgres/embedded/cluster.py`), the account (`resources/postgres/embedded/account.py`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resources.postgres.embedded.account import Account, own_account, owner, system_account
from resources.postgres.embedded.lock import unusable
from swiftbolt_assets.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable

SHELF = Path("/var/lib/swiftbolt")
"""Holds state folders and programs that root's unprivileged account can reach."""

SOCKET_NAME = ".s.PGSQL.5432"
# sockaddr_un holds 104 bytes on macOS and 108 on Linux, the closing zero included.
_LONGEST_SOCKET_PATH = 100
_PRIVATE = 0o700


@dataclass(frozen=True)
class Place:
    """The folders of one server; `sockets` lies outside `state` when its path would be too long."""

    state: Path
    sockets: Path

    @property
    def data(self) -> Path:
        """The data directory (PGDATA)."""
        return self.state / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.state / "server.log"

    @property
    def tag(self) -> str:
        """A word in the process titles of this server and of no other on the machine."""
        return f"swiftbolt-{_hash(self.state)}"


def resolve(home: Path) -> Path:
    """Return the one spelling of a home; refuses a path that settings cannot hold."""
    resolved = home.resolve()
    if any(ord(letter) < ord(" ") for letter in str(resolved)):
        raise ConfigurationError(
            f"SWIFTBOLT_HOME: {str(resolved)!r} has control characters; set it to another folder"
        )
    return resolved


def find(home: Path) -> Place:
    """Return the place of a resolved home; before the first start the one inside the home."""
    return _place(_noted_state(home) or home / "postgres")


def settle(home: Path) -> tuple[Place, Account]:
    """Make the folders of a resolved home and return them with the account that owns them.

    The caller holds the home's start lock. Raises ConfigurationError when a folder cannot be made,
    StorageError when the database of this home belongs to somebody else or is gone.
    """
    state = _noted_state(home) or home / "postgres"
    note = home / "postgres.place"
    try:
        if note.exists() and state == home / "postgres":
            raise StorageError(
                f"the database folder {note.read_text().strip()!r} of {str(home)!r} is gone or "
                f"serves another home; bring it back, or remove {str(note)!r} to begin empty"
            )
        if state.exists():
            account = owner(state)
            if _home_of(state) not in (None, home):  # the home was moved, its database goes along
                (state / "home.txt").write_bytes(os.fsencode(home))
        else:
            state, account = _make_state(home, note)
        place = _place(state)
        _make_private(place.sockets, account)
    except OSError as error:
        raise unusable(home, error) from error
    return place, account


def forgotten(home: Path) -> list[Place]:
    """Return the places on the shelf that an earlier home of the same path left, oldest first."""
    current = _noted_state(home)
    states = [
        state
        for state in SHELF.glob(f"{_hash(home)}-*")
        if state != current and _home_of(state) == home
    ]
    return [_place(state) for state in sorted(states, key=lambda state: state.stat().st_mtime)]


def discard(places: Iterable[Place]) -> None:
    """Delete the folders of stopped servers."""
    for place in places:
        for folder in (place.state, place.sockets):
            if folder.exists():
                shutil.rmtree(folder)


def _make_state(home: Path, note: Path) -> tuple[Path, Account]:
    if os.geteuid() != 0:
        state, account = home / "postgres", own_account()
    else:
        account = system_account()
        state = home / "postgres"
        if not (account.can_enter(home) and _fits(state / "run")):
            SHELF.mkdir(parents=True, exist_ok=True)
            state = SHELF / f"{_hash(home)}-{secrets.token_hex(4)}"
    _make_private(state, account)
    if state.parent == SHELF:
        (state / "home.txt").write_bytes(os.fsencode(home))
        fresh = note.with_suffix(".fresh")
        fresh.write_text(f"{state}\n")
        fresh.replace(note)
    return state, account


def _noted_state(home: Path) -> Path | None:
    """Return the state folder on the shelf that belongs to this home, if there is one."""
    state = _read_note(home)
    # The note is only believed for the shelf: its folder may be writable by others than root.
    if state is None or state.parent != SHELF or not state.is_dir():
        return None
    recorded = _home_of(state)
    if recorded is None:
        return None
    if recorded != home and _read_note(recorded) == state:
        return None  # this home is a copy, the database stayed with the original
    return state


def _read_note(home: Path) -> Path | None:
    try:
        return Path((home / "postgres.place").read_text().strip())
    except OSError:
        return None


def _home_of(state: Path) -> Path | None:
    try:
        return Path(os.fsdecode((state / "home.txt").read_bytes()))
    except OSError:
        return None


def _place(state: Path) -> Place:
    sockets = state / "run"
    if not _fits(sockets):
        uid = state.stat().st_uid if state.exists() else os.geteuid()
        sockets = Path("/tmp", f"swiftbolt-{uid}-{_hash(state)}")  # noqa: S108 - short, and private
    return Place(state, sockets)


def _fits(sockets: Path) -> bool:
    # A comma separates hosts in a connection string and folders in the server's setting.
    text = os.fsencode(sockets / SOCKET_NAME)
    return len(text) <= _LONGEST_SOCKET_PATH and b"," not in text


def _make_private(folder: Path, account: Account) -> None:
    """Make a folder that only `account` can enter, or prove that the existing one is such."""
    try:
        folder.mkdir(mode=_PRIVATE)
        if os.geteuid() != account.uid:
            os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    except FileExistsError:
        found = folder.lstat()
        private = stat.S_IMODE(found.st_mode) & ~_PRIVATE == 0
        if not (stat.S_ISDIR(found.st_mode) and private and found.st_uid == account.uid):
            raise StorageError(
                f"{str(folder)!r} is not a private folder of user {account.uid} (mode 700); "
                "somebody else may have made it: remove it, or set SWIFTBOLT_HOME elsewhere"
            ) from None


def _hash(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
