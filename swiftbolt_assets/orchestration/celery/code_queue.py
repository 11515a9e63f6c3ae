"""The name of the queue for runs of this very code.

A worker keeps the code in memory that it started with, so after a deploy old and new ones would do
the same run differently. The queue's name is a hash of the code, the versions of what it reaches
into, and the settings that change what a run does; platform and workers that differ do not meet.

What belongs here: the name. What does not: what is sent (`launcher.py`).
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import SwiftBoltError

if TYPE_CHECKING:
    from resources.platform.workers import WorkerBook
    from swiftbolt_assets.settings import Settings

_PACKAGES = ("resources", "sensors", "swiftbolt_assets")
_CODE = {".py", ".sql", ".json", ".yaml"}
_LIBRARIES = ("dagster", "dagster-postgres", "dagster-celery", "celery", "polars", "pandera")
_LENGTH = 16


def queue_name(settings: Settings, installation_id: str) -> str:
    """Return the queue of an installation for this process's code.

    Raises:
        SwiftBoltError: the code's files cannot be found.

    """
    agreed = (
        installation_id,
        _code_hash(),
        settings.first_date,
        settings.simulated,
        *(access.per_minute for access in settings.providers.values()),
        settings.resample_h1,
        settings.resample_h4,
        settings.shards,
    )
    text = "\n".join(map(str, agreed))
    return f"swiftbolt-{hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]}"


def own_queue(settings: Settings, book: WorkerBook) -> str:
    """Return the queue of this process's code for the installation of a database.

    Raises:
        SwiftBoltError: the database does not answer, or the code's files cannot be found.

    """
    return queue_name(settings, book.installation_id())


@cache
def _code_hash() -> str:
    """Hash the code as it lies there when it is first asked for: what this process loads."""
    found = hashlib.sha256()
    for library in _LIBRARIES:
        found.update(f"{library} {version(library)}\n".encode())
    for name in _PACKAGES:
        folder = _folder(name)
        for path in sorted(folder.rglob("*")):
            if path.suffix in _CODE and "api" not in path.relative_to(folder).parts:
                content = path.read_bytes()
                found.update(f"{name}/{path.relative_to(folder)} {len(content)}\n".encode())
                found.update(content)
    return found.hexdigest()


def _folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SwiftBoltError(f"{package}: its files cannot be found; install swiftbolt again")
    return Path(spec.origin).parent
