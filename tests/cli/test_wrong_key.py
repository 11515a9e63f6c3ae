"""A wrong key: three requests at most, one clear line, and the key itself nowhere."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

KEY = "wrongkey1234567890SECRETvalue"
TOKEN = "wrongtoken0987654321SECRETvalue"


class CommandLines:
    """Reads the command lines of all processes until it is left."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    continue


def all_texts(url: str) -> Iterator[str]:
    """Yield every row of every table of a database, as text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables"
            " where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            # Dagster packs some events: their bytes are looked at as such elsewhere.
            for (row,) in connection.execute(f"select t::text from {table} t"):
                yield row


def test_a_wrong_key_costs_little_and_is_told_and_shown_nowhere(
    shell: Any, market: Callable[..., Any]
) -> None:
    provider = market(polygon_keys=frozenset({"right"}), tradier_tokens=frozenset({"right"}))
    environment = {
        "POLYGON_API_KEY": KEY,
        "MASSIVE_API_KEY": KEY,
        "TRADIER_TOKEN": TOKEN,
        "POLYGON_BASE_URL": provider.url,
        "TRADIER_BASE_URL": provider.url,
    }
    assert shell.run("env", **environment).code == 0
    with CommandLines() as lines:
        done = shell.run(
            *("backfill", "AAPL", "MSFT", "NVDA", "AMD", "BRK.B", "--json"),
            cold=True,  # with a command line of its own
            **environment,
        )
    assert done.code == 1
    assert len(provider.requests()) <= 3
    errors = [line for line in done.err.splitlines() if line.startswith("swiftbolt: ")]
    assert len(errors) == len(done.json["errors"]) == 1
    assert "POLYGON_API_KEY" in errors[0]
    assert "4 more symbols were not asked for" in errors[0]
    assert "Traceback" not in done.err
    again = shell.run("backfill", "MSFT", "--days", "5", **environment)
    assert again.code == 1
    assert len(provider.requests()) <= 4  # one probe an explicit command
    status, doctor = shell.run("status", **environment), shell.run("doctor", **environment)
    assert "POLYGON_API_KEY" in status.out
    assert doctor.code == 1

    shown = [done.out, done.err, again.out, again.err, status.out, doctor.out]
    shown += [f"{entry}" for entry in provider.requests()]
    shown += [os.fsdecode(line) for line in lines.seen]
    shown += [
        path.read_text("utf-8", errors="replace")
        for path in shell.home.rglob("*")
        if path.is_file() and "postgres" not in path.parts
    ]
    for url in (
        shell.database_url,
        shell.database_url.replace("/swiftbolt?", "/swiftbolt_dagster?"),
    ):
        shown += all_texts(url)
    assert any("backfill" in line for line in map(os.fsdecode, lines.seen))
    assert len(shown) > 100
    for text in shown:
        assert KEY not in text
        assert TOKEN not in text
