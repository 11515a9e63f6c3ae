"""The revisions of Dagster's own schema, which tell a database that a newer Dagster wrote.

Dagster upgrades whatever it finds, and exports no list of what it knows. What belongs here: that
list. What does not: what follows from it (`orchestration/instance.py`).
"""

from __future__ import annotations

from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.sql import ALEMBIC_SCRIPTS_LOCATION


def dagster_revisions() -> set[str]:
    """Return every revision of Dagster's schema that this code knows."""
    config = Config()
    config.set_main_option("script_location", ALEMBIC_SCRIPTS_LOCATION)
    return {found.revision for found in ScriptDirectory.from_config(config).walk_revisions()}
