"""A server that a test may kill."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from resources.postgres.database import Database
from resources.postgres.embedded import server as embedded
from resources.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[tuple[embedded.EmbeddedServer, str]]:
    """Return a server of the test's own, and the URL of its migrated database."""
    server = embedded.start(tmp_path)
    url = server.url(embedded.DATABASE)
    migrate(Database(url, timedelta(0)), date(2024, 1, 2))
    yield server, url
    embedded.stop(tmp_path)
    embedded.erase(tmp_path)
