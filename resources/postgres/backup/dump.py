"""One database as a stream of bytes, and back, by Postgres' own pg_dump and pg_restore.

They are those of the embedded server's wheel, or of PATH where the server is newer. The address
goes to them in the environment: a password on a command line is everybody's to read. What belongs
here: running the two programs. What does not: the file (`archive.py`), which database is loaded
(`swap.py`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psycopg
from psycopg.conninfo import make_conninfo

from resources.postgres.connection import connect, first_line
from resources.postgres.embedded.binaries import MAJOR, wheel_folder
from swiftbolt_assets.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_CHUNK = 1 << 20
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
#: A newer pg_restore begins by switching off a time-out that servers before this one do not have.
_KNOWS_ALL = 17
_PASSED_OVER = 'unrecognized configuration parameter "transaction_timeout"'
_DUMP = (
    "--format=custom",
    # A year of bars in a third of the time of the default, for a tenth more bytes.
    "--compress=gzip:1",
    "--no-owner",
    # A database's own default may lack the letters that are in it.
    "--encoding=UTF8",
    # They carry the addresses and passwords of other servers.
    "--no-subscriptions",
    # Who waits for a request slot: those processes are gone when it is restored.
    "--no-unlogged-table-data",
)


def dump(url: str, snapshot: str, into: IO[bytes], tell: Callable[[int], None]) -> None:
    """Write a database, as a snapshot shows it, to a stream.

    Args:
        url: of the database.
        snapshot: exported by a transaction that stays open meanwhile.
        into: takes the bytes.
        tell: called with the bytes of each piece.

    Raises:
        StorageError: pg_dump refuses.
        ConfigurationError: no pg_dump fits the server.

    """
    command = [_program("pg_dump", _server_major(url)), *_DUMP, f"--snapshot={snapshot}"]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command, env=_environment(url), stdout=subprocess.PIPE, stderr=said
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            while chunk := process.stdout.read(_CHUNK):
                into.write(chunk)
                tell(len(chunk))
        except BaseException:
            process.kill()
            raise
        _require(process, said)


def load(url: str, source: IO[bytes], tell: Callable[[int], None]) -> None:
    """Fill an empty database from a stream that `dump` wrote.

    Raises:
        StorageError: pg_restore refuses; the database is half filled then.
        zipfile.BadZipFile: the stream is damaged.
        ConfigurationError: no pg_restore fits the server.

    """
    environment, major = _environment(url), _server_major(url)
    # An error that is passed over below comes first of all; others end it as it began.
    stops = [] if major < _KNOWS_ALL else ["--exit-on-error"]
    command = [_program("pg_restore", major), "--no-owner", *stops]
    # As a name alone it would be taken for options if an equals sign is in it.
    command += [f"--dbname={make_conninfo(dbname=environment['PGDATABASE'])}"]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stderr=said) as process,
    ):
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            while chunk := source.read(_CHUNK):
                process.stdin.write(chunk)
                tell(len(chunk))
            process.stdin.close()
        except BrokenPipeError:
            # It has ended, and said why.
            process.stdin = None
        except BaseException:
            process.kill()
            raise
        _require(process, said)


def _require(process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    code = process.wait()
    said.seek(0)
    lines = said.read().decode(errors="replace").splitlines()
    # What the server said is in the details.
    telling = [line for line in lines if "error:" in line or "Error message from server:" in line]
    telling = [line for line in telling if _PASSED_OVER not in line]
    if code == 0 or (lines and not telling and any(_PASSED_OVER in line for line in lines)):
        return
    told = telling[:2] or lines[:1] or ["it ended without a word"]
    raise StorageError(f"database: {' '.join(line.strip() for line in told)}")


def _environment(url: str) -> Mapping[str, str]:
    options = psycopg.pq.Conninfo.parse(url.encode())
    named = {
        option.envvar.decode(): option.val.decode()
        for option in options
        if option.envvar and option.val
    }
    return dict(os.environ) | named | {"PGCLIENTENCODING": "UTF8"}


def _server_major(url: str) -> int:
    try:
        with connect(url) as connection:
            return connection.info.server_version // 10000
    except psycopg.Error as error:
        raise StorageError(f"database: {first_line(error)}") from error


def _program(name: str, wanted: int) -> str:
    """Return the program that fits a server: one of its major version, or newer."""
    if wanted <= MAJOR:
        try:
            carried = wheel_folder() / name
        except ConfigurationError:
            carried = Path()
        if carried.is_file():
            return str(carried)
    found = shutil.which(name)
    if found is None or _major(found) < wanted:
        raise ConfigurationError(
            f"PATH: the server is Postgres {wanted}; put a {name} of that version or newer on it"
        )
    return found


def _major(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    match = _VERSION.search(said.stdout)
    return int(match[1]) if match else 0
