"""An error that nobody foresaw, as one line for a person and a traceback for a developer.

What belongs here: writing the traceback where the line says it is. What does not: errors that are
phrased already (`errors.py`).
"""

from __future__ import annotations

import os
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from swiftbolt_assets.database_url import passwords
from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.settings import KEYS, read_settings

if TYPE_CHECKING:
    from pathlib import Path

_URLS = ("SWIFTBOLT_DATABASE_URL", "SWIFTBOLT_DAGSTER_URL")
_SHOWN = 200


def describe(error: Exception) -> str:
    """Return one line about an error, its traceback kept in `<SWIFTBOLT_HOME>/log/errors.log`."""
    lines = str(error).strip().splitlines() or ["no message"]
    line = f"unexpected {type(error).__name__}: {_without_secrets(lines[0])[:_SHOWN]}"
    try:
        path = read_settings().home / "log" / "errors.log"
        _append(path, _without_secrets("".join(traceback.format_exception(error))))
    except (OSError, SwiftBoltError):
        return f"{line} (its details could not be kept: the log folder cannot be written)"
    return f"{line} (details in {path}; swiftbolt doctor may know more)"


def _append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with open(handle, "a", encoding="utf-8") as log:  # noqa: PTH123 - a descriptor, for its mode
        log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')}\n{text}\n")


def _without_secrets(text: str) -> str:
    secrets = [os.environ.get(name, "").strip() for name in KEYS]
    for name in _URLS:
        secrets += passwords(os.environ.get(name, ""))
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text
