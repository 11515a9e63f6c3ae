"""The file of a backup: a ZIP with a description and one dump a database.

A ZIP is written as the dumps arrive, ends with its table of contents, so that a cut file is none,
and carries a checksum a part. What belongs here: the file. What does not: making and loading dumps
(`dump.py`), what becomes of the databases (`swap.py`).
"""

from __future__ import annotations

import json
import os
import zipfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING

from swiftbolt_assets.errors import StorageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Of the file, not of the schema.
FORMAT = 1
BARS, DAGSTER = "bars.dump", "dagster.dump"
_DESCRIPTION = "backup.json"
#: A description is a few hundred bytes.
_LONGEST = 10_000


@dataclass(frozen=True)
class Description:
    """What a backup holds.

    Attributes:
        made_at: UTC, ISO 8601.
        version: of swiftbolt that made it.
        schema: revision of the bars' schema.
        dagster_schema: revision of Dagster's, None when it has none yet.
        data_source: `simulated` or `real`, None before the first bar.
        postgres: major version of the server.

    """

    made_at: str
    version: str
    schema: str
    dagster_schema: str | None
    data_source: str | None
    postgres: int
    format: int = FORMAT


@contextmanager
def written(path: Path, description: Description) -> Iterator[zipfile.ZipFile]:
    """Yield the file to write parts into; it stands at `path` only once it is whole.

    Raises:
        StorageError: it cannot be written.

    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            # It holds who looks at what: for its owner alone.
            handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w+b") as file:
                # The dumps are compressed already.
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    archive.writestr(_DESCRIPTION, json.dumps(asdict(description)))
                    yield archive
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"FILE: {path} cannot be written ({error.strerror or error}); nothing was kept"
        ) from error


def part_to_write(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Open a part of unknown length for writing."""
    return archive.open(name, "w", force_zip64=True)


@contextmanager
def opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, Description]]:
    """Yield a backup and what it holds.

    Raises:
        UsageError: there is no such file, or it is no backup, or is cut or damaged.

    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive, _described(path, archive)
    except zipfile.BadZipFile as error:
        raise _none(path, "it is cut, damaged or something else") from error
    except OSError as error:
        raise UsageError(f"FILE: {path} cannot be read ({error.strerror or error})") from error


def _described(path: Path, archive: zipfile.ZipFile) -> Description:
    names = set(archive.namelist())
    if {_DESCRIPTION, BARS, DAGSTER} - names:
        raise _none(path, "it is another ZIP")
    try:
        with archive.open(_DESCRIPTION) as part:
            read = json.loads(part.read(_LONGEST))
        if read["format"] > FORMAT:
            raise UsageError(f"FILE: {path} was made by a newer swiftbolt; upgrade this one")
        return Description(**read)
    except (ValueError, KeyError, TypeError) as error:
        raise _none(path, "its description is damaged") from error


def _none(path: Path, why: str) -> UsageError:
    return UsageError(f"FILE: {path} is no backup of swiftbolt: {why}")
