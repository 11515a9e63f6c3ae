"""The server process over one data directory: made, configured, started, found, stopped.

What belongs here: initdb, the settings file, pg_ctl, and telling this server's processes from
others that carry a re-used pid. What does not: who else uses the server
(`resources/postgres/embedded/server.py`) and where the folders lie
(`resources/postgres/embedded/place.py`). The caller holds the start lock.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resources.postgres.embedded.account import own_account
from resources.postgres.embedded.binaries import MAJOR, usable_folder, wheel_folder
from resources.postgres.embedded.place import SHELF, SOCKET_NAME
from resources.postgres.unwritable import MAKE_ROOM, no_room_in
from swiftbolt_assets.errors import StorageError
from swiftbolt_assets.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from resources.postgres.embedded.account import Account
    from resources.postgres.embedded.place import Place

SUPERUSER = "swiftbolt"

# Replaying 1 GB of WAL (max_wal_size) after a crash on a slow disk takes minutes.
_START_SECONDS = 300
# A fast stop writes all dirty buffers; then an immediate one, which costs a recovery at start.
_STOP_SECONDS = 60
# A live postmaster without a socket: /tmp was swept.
_SILENT_SECONDS = 3
# One with a socket that answers nobody for so long stands still: a stalled disk, a suspended
# machine. Ending it would lose what it has begun, and it goes on by itself.
_STILL_SECONDS = 10
_POLL_SECONDS = 0.02
# Exit codes of pg_isready; 1 is a server that starts, stops or recovers.
_ACCEPTING = 0
_SILENT = 2
_TELLING = ("PANIC", "FATAL", "error:")
_LARGEST_LOG_BYTES = 1_000_000

_SETTINGS = {
    "listen_addresses": "",  # the socket's private folder is the access control
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "200",  # workers, daemon, web server, API: a few dozen pooled each
    "shared_buffers": "192MB",
    "random_page_cost": "1.1",  # 7 times on the MERGE into partitions: its plan follows the index
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",  # fewer full-page images while a backfill writes
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %d ",
}


# Beyond the largest pid of Linux (2**22) and of macOS, so no process ever has it.
_NOBODYS_PID = 2**22 + 1


@dataclass(frozen=True)
class Cluster:
    """One data directory with its server, run as `account`."""

    place: Place
    account: Account

    def start(self, lock: int) -> bool:
        """Bring the server to accept connections, whatever an earlier one left behind.

        Return whether it had to be started.

        `lock` is the start lock's descriptor: initdb inherits it, so that a start after the death
        of this process waits until that initdb has ended too. Raises StorageError.
        """
        if accepts(self.place):
            return False
        programs = usable_folder(self.account, SHELF)
        fresh = self._initialise(programs, lock)
        # Over fresh data a postmaster can only be that of a removed home of the same path.
        if not fresh and _postmaster(self.place):
            if _becomes_ready(self.place):
                return False
            stop_server(self.place)
        self._clear_remains()
        self._configure()
        self._launch(programs)
        return True

    def _initialise(self, programs: Path, lock: int) -> bool:
        """Make the data directory unless it is there; return whether it was made."""
        data, state = self.place.data, self.place.state
        if data.exists():
            made_by = (data / "PG_VERSION").read_text().strip()
            if made_by != str(MAJOR):
                raise StorageError(
                    f"the database in {str(data)!r} was made by Postgres {made_by}, this "
                    f"installation carries {MAJOR}: export it with the pg_dumpall of {made_by}, "
                    "or move the folder away to begin empty"
                )
            return False
        for half_made in state.glob("data.*"):
            shutil.rmtree(half_made)
        # Built aside and renamed: an interrupted initdb leaves no data directory at all.
        fresh = state / f"data.{secrets.token_hex(4)}"
        answer = self.account.run(
            programs / "initdb",
            f"--pgdata={fresh.name}",
            f"--username={SUPERUSER}",
            "--auth=trust",  # the private folder of the socket is the access control
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            cwd=state,
            pass_fds=(lock,),
        )
        if answer.returncode:
            raise StorageError(f"cannot make a database in {str(state)!r}: {_gist(answer.stderr)}")
        with (fresh / "postgresql.conf").open("a") as settings:
            settings.write("\ninclude_if_exists = 'swiftbolt.conf'\n# Your own settings follow.\n")
        fresh.rename(data)
        return True

    def _configure(self) -> None:
        # A list of folders within a quoted string: both levels have their own quotes.
        folder = str(self.place.sockets).replace('"', '""')
        lines = ["# Written by swiftbolt at every start; add your own to postgresql.conf.\n"]
        for name, value in (_SETTINGS | {"unix_socket_directories": f'"{folder}"'}).items():
            quoted = value.replace("\\", "\\\\").replace("'", "''")
            lines.append(f"{name} = '{quoted}'\n")
        target = self.place.data / "swiftbolt.conf"
        target.write_bytes(os.fsencode("".join(lines)))
        target.chmod(0o644)  # root may have written it; only its account gets into the folder

    def _clear_remains(self) -> None:
        """Remove what a killed server left, which would keep the next one from starting."""
        for process in _processes(self.place):
            # Backends outlive a killed postmaster until they next look; this is what it sends
            # them itself when one of their kind has crashed.
            _signal(process, signal.SIGQUIT)
        if not _ends(lambda: not _processes(self.place)):
            left = ", ".join(str(process) for process in _processes(self.place))
            raise StorageError(
                f"processes {left} of a killed database server do not end; kill them"
            )
        for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
            (self.place.sockets / name).unlink(missing_ok=True)
        pid_file = self.place.data / "postmaster.pid"
        if not pid_file.exists():
            return
        first, *others = pid_file.read_text(errors="replace").splitlines() or [""]
        if first.isdigit() and others:
            # By now the pid may be a stranger's or a zombie's. Only that line is made harmless:
            # the others let Postgres prove that the old shared memory is out of use.
            pid_file.write_text("\n".join([str(_NOBODYS_PID), *others, ""]))
        else:
            pid_file.unlink()  # cut short: Postgres would refuse to start over it

    def _launch(self, programs: Path) -> None:
        log = self.place.log
        if log.exists() and log.stat().st_size > _LARGEST_LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))
        # Relative paths, because pg_ctl puts them into a shell command between double quotes.
        answer = self.account.run(
            programs / "pg_ctl",
            "start",
            "--wait",
            "--silent",
            f"--timeout={_START_SECONDS}",
            f"--pgdata={self.place.data.name}",
            f"--log={log.name}",
            f"--options=-c cluster_name={self.place.tag}",
            cwd=self.place.state,
        )
        # A start by a process that was killed may have come first, which is just as good.
        if answer.returncode and not _becomes_ready(self.place):
            said = log.read_text(errors="replace") if log.exists() else answer.stderr
            gist = _gist(said)
            # Without times and process ids: whoever tries again tells the same trouble once.
            reason = f"{lack}; {MAKE_ROOM}" if (lack := no_room_in(gist)) else gist
            raise StorageError(f"the database server did not start: {reason} (see {log})")


def stop_server(place: Place) -> bool:
    """Stop the server of a place, fast; return whether there was one. Raises StorageError."""
    postmaster = _postmaster(place)
    if not postmaster:
        return False
    for number in (signal.SIGINT, signal.SIGQUIT):
        _signal(postmaster, number)
        if _ends(lambda: postmaster not in _processes(place)):
            return True
    raise StorageError(f"the database server (process {postmaster}) does not stop; kill it")


def require_answer(place: Place) -> None:
    """Return once a server with a socket answers, at once without one.

    Raises:
        StorageError: it stands still.

    """
    deadline = time.monotonic() + _STILL_SECONDS
    while _has_socket(place) and _ask(place) == _SILENT:
        postmaster = _postmaster(place)
        if not postmaster:
            return
        if time.monotonic() > deadline:
            raise _still(postmaster)
        time.sleep(_POLL_SECONDS)


def _has_socket(place: Place) -> bool:
    # Not Path.exists: another user's folder is for the caller to refuse.
    return os.access(place.sockets / SOCKET_NAME, os.F_OK)


def _still(postmaster: int) -> StorageError:
    return StorageError(
        f"the database server (process {postmaster}) answers nobody; what waits for it goes on "
        f"once it does, and after kill -9 {postmaster} it is started anew"
    )


def accepts(place: Place) -> bool:
    """Return whether the server accepts connections, found out by asking it."""
    return _ask(place) == _ACCEPTING


def _ask(place: Place) -> int:
    address = ("--host", place.sockets, "--port", "5432", "--username", SUPERUSER)
    program = wheel_folder() / "pg_isready"
    return own_account().run(program, "--quiet", *address, cwd=Path("/")).returncode


def _becomes_ready(place: Place) -> bool:
    """Wait while a server starts; return False of one that has lost its socket.

    Raises:
        StorageError: it has one, and stands still.

    """
    patience = time.monotonic() + _SILENT_SECONDS
    deadline = time.monotonic() + _START_SECONDS
    while _postmaster(place) and time.monotonic() < deadline:
        answer = _ask(place)
        if answer == _ACCEPTING:
            return True
        if answer == _SILENT and time.monotonic() > patience:
            require_answer(place)
            if not _has_socket(place):
                return False
        time.sleep(_POLL_SECONDS)
    return False


def _postmaster(place: Place) -> int | None:
    """Return the pid of the place's running postmaster; its pid file alone proves nothing."""
    found = [pid for pid, title in _processes(place).items() if not title.startswith("postgres:")]
    # A backend carries the postmaster's title for its first moment; the pid file tells them apart.
    noted = _noted_pid(place)
    return noted if noted in found else next(iter(found), None)


def _noted_pid(place: Place) -> int | None:
    try:
        first = (place.data / "postmaster.pid").read_text(errors="replace").partition("\n")[0]
    except OSError:
        return None
    return int(first) if first.isdigit() else None


def _processes(place: Place) -> dict[int, str]:
    """Return pid and title of the place's living postmaster and backends."""
    uid = place.state.stat().st_uid if place.state.exists() else None
    # How pg_ctl starts the postmaster, and how its children rename themselves.
    command = f"/postgres -D {place.data.name} -c cluster_name={place.tag}"
    return {
        pid: title
        for pid, owner, title in _all_processes()
        if uid in (None, owner)
        and (title.endswith(command) or title.startswith(f"postgres: {place.tag}: "))
    }


def _all_processes() -> Iterator[tuple[int, int, str]]:
    """Yield pid, user and command line of all processes; a zombie's command line is empty."""
    if not Path("/proc/self/cmdline").exists():
        listing = subprocess.run(
            ["/bin/ps", "-axww", "-o", "pid=,uid=,command="],
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
        ).stdout
        for line in listing.splitlines():
            pid, owner, *title = line.split(None, 2)
            yield int(pid), int(owner), "".join(title)
        return
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # Processes come and go during the look around.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                yield int(folder.name), folder.stat().st_uid, os.fsdecode(words).strip()


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        os.kill(pid, number)


def _ends(is_over: Callable[[], bool]) -> bool:
    return until(is_over, within_s=_STOP_SECONDS, every_s=_POLL_SECONDS)


def _gist(output: str) -> str:
    """Return the line of a program's output that says what went wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in _TELLING)]
    return (telling or lines or ["no message"])[-1]
