"""Tells when Dagster has taken settings from a `.env` of the current folder, as its commands do.

Somebody else's keys would be used otherwise, and nobody would know. The platform's own processes
run in a folder of the home, where there is no such file.

What belongs here: that one line. What does not: reading settings (`settings.py`).
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from dagster._core.secrets.env_file import get_env_var_dict

from swiftbolt_assets.settings import PREFIXES

_LOG = logging.getLogger(__name__)


def warn_of_env_file() -> None:
    """Name the file and its settings that are in effect; their values are shown nowhere."""
    folder = Path.cwd()
    taken = [
        name
        for name, value in get_env_var_dict(str(folder)).items()
        if name.startswith(PREFIXES) and os.environ.get(name) == value
    ]
    if taken:
        _LOG.warning(
            "%s: Dagster takes %s from it; start from another folder if they are not meant",
            folder / ".env",
            ", ".join(sorted(taken)),
        )
