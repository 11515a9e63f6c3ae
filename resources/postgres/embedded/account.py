"""The account that the embedded Postgres runs as, and how a program is run as it.

What belongs here: choosing the account (Postgres refuses root, so root lends it an unprivileged
one) and running a program as that account with a clean environment. What does not: where the files
lie (`resources/postgres/embedded/place.py`) and which programs run
(`resources/postgres/embedded/cluster.py`). Look next at `resources/postgres/embedded/binaries.py`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from swiftbolt_assets.errors import ConfigurationError, StorageError
from swiftbolt_assets.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SYSTEM_ACCOUNT = "swiftbolt"

# What useradd ends with when another process is changing the list, or when it may not be changed.
_CANNOT_LOCK = 1
_PATIENCE_S = 10

# The server must not see PG* variables of the shell (they would redirect it), nor provider keys
# (its environment is readable by its account); C and UTC make its messages and times predictable.
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class _Switch(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """A user and a group of this machine, by number."""

    uid: int
    gid: int

    def run(
        self, *argv: str | Path, cwd: Path, pass_fds: Sequence[int] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as this account and return its exit code and output.

        Raises OSError when the account may not execute the program, or this process may not
        become the account.
        """
        switch: _Switch = {}
        if os.geteuid() != self.uid:
            switch = {"user": self.uid, "group": self.gid, "extra_groups": []}
        return subprocess.run(
            argv,
            cwd=cwd,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            pass_fds=pass_fds,
            start_new_session=True,  # Ctrl-C in the terminal is not meant for the database
            **switch,
        )

    def can_enter(self, folder: Path) -> bool:
        """Return whether the account may pass through every existing folder on the way."""
        return all(
            self._may_pass(parent.stat()) for parent in (folder, *folder.parents) if parent.exists()
        )

    def _may_pass(self, folder: os.stat_result) -> bool:
        if folder.st_uid == self.uid:
            return bool(folder.st_mode & stat.S_IXUSR)
        return bool(folder.st_mode & stat.S_IXOTH)


def own_account() -> Account:
    """Return the account of this process."""
    return Account(os.geteuid(), os.getegid())


def system_account() -> Account:
    """Return the unprivileged account that root lends to the server, made when missing.

    `postgres` or `nobody` serve where no account can be made (no useradd, /etc read-only).
    """
    if not _exists(SYSTEM_ACCOUNT) and (useradd := _find_useradd()):
        # A machine that allows no new account is served by the others below.
        until(lambda: _is_settled(useradd), within_s=_PATIENCE_S, every_s=0.1)
    for name in (SYSTEM_ACCOUNT, "postgres", "nobody"):
        if _exists(name):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise ConfigurationError(
        "SWIFTBOLT_DATABASE_URL: Postgres refuses to run as root and this machine has no "
        "unprivileged account; set it to a Postgres server (>= 15), or run as an ordinary user"
    )


def owner(state: Path) -> Account:
    """Return the account that owns an existing state folder, and so has to run its server.

    Raises StorageError when this process may not act for that account.
    """
    found = state.stat()
    if found.st_uid == 0:
        raise StorageError(
            f"the database folder {str(state)!r} belongs to root, as which Postgres refuses to "
            f"run; give it to an account: chown -R {SYSTEM_ACCOUNT} FOLDER"
        )
    if os.geteuid() not in (0, found.st_uid):
        raise StorageError(
            f"the database folder {str(state)!r} belongs to {_name(found.st_uid)}; "
            "set SWIFTBOLT_HOME to a folder of your own"
        )
    return Account(found.st_uid, found.st_gid)


def _is_settled(useradd: str) -> bool:
    """Make the account; return False where somebody else just holds the list of accounts."""
    command = [useradd, "--system", "--user-group", "--no-create-home"]
    place = ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    made = subprocess.run([*command, *place, SYSTEM_ACCOUNT], capture_output=True, check=False)
    is_locked = made.returncode == _CANNOT_LOCK and os.access("/etc", os.W_OK)
    return _exists(SYSTEM_ACCOUNT) or not is_locked


def _find_useradd() -> str | None:
    # Debian keeps it outside an ordinary PATH.
    return shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _name(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
