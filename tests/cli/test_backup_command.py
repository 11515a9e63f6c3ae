"""A backup while work goes on, and what is restored from it: equal, whole, or refused."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from resources.postgres.embedded import server as embedded
from resources.schema import newest_revision

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

SYMBOLS = ("AAPL", "AMZN", "GOOGL", "JPM", "META", "MSFT", "NVDA", "SPY", "TSLA", "XOM")
#: Past days only: a restored request budget is closed for a minute.
WINDOW = ("--from", "2026-06-22", "--to", "2026-11-19")
CONTENT = (
    "select s.ticker, timeframe::text, count(*), min(ts), max(ts),"
    " md5(string_agg(concat_ws(',', ts, open, high, low, close, volume), ';' order by ts))"
    " from ohlc_bars_v2 b join symbols s on s.id = b.symbol_id group by 1, 2 order by 1, 2"
)


def of_bars(market: Any) -> int:
    paths = [entry["path"] for entry in market.requests()]
    return sum(path.startswith("/v2/aggs/") for path in paths)


def content(shell: Any) -> list[tuple[Any, ...]]:
    """Return each symbol's bars as a hash; the server runs meanwhile."""
    with embedded.lease(shell.home):
        rows: list[tuple[Any, ...]] = shell.sql(CONTENT)
        return rows


def test_a_backup_of_a_running_backfill_is_restored_resumed_and_equal(
    new_shell: Callable[..., Any], market: Callable[..., Any], finish: Callable[..., Any],
    wait_for: Callable[..., Any], tmp_path: Path,
) -> None:  # fmt: skip
    provider = market(latency_seconds=0.5)
    secret = "opensesame-0123456789"
    origin = new_shell(POLYGON_BASE_URL=provider.url, SWIFTBOLT_SERVICE_KEY=secret)
    work = origin.start("backfill", *SYMBOLS, *WINDOW, "--json")
    wait_for(lambda: of_bars(provider) >= 8, "some requests were answered")
    file = tmp_path / "nightly.swiftbolt"
    backup = origin.run("backup", str(file))
    assert (backup.code, backup.err) == (0, "")
    assert work.poll() is None
    assert file.stat().st_mode & 0o777 == 0o600
    undisturbed = finish(work, 240)
    assert undisturbed.code == 0, undisturbed.err
    asked = of_bars(provider)
    again = origin.run("backup", str(file))
    assert again.code == 2
    assert "is there already" in again.one_line()

    provider.reset()
    place = new_shell(POLYGON_BASE_URL=provider.url)
    restored = place.run("restore", str(file))
    assert restored.code == 0, restored.err
    # What had been settled by then is there; nothing is half.
    resumed = place.run("backfill", *SYMBOLS, *WINDOW, "--json", timeout=240)
    assert resumed.code == 0, resumed.err
    assert 0 < of_bars(provider) < asked
    assert content(place) == content(origin)
    truth = {
        (symbol, timeframe): len(provider.truth(symbol, timeframe, WINDOW[1], WINDOW[3]))
        for symbol in SYMBOLS
        for timeframe in ("m15", "h1", "h4")
    }
    assert {row[:2]: row[2] for row in content(place)} == truth
    with zipfile.ZipFile(file) as archive:
        described = archive.read("backup.json").decode()
    assert str(origin.home) not in described
    assert secret not in described


def test_restore_refuses_what_would_lose_something_and_changes_nothing(
    shell: Any, new_shell: Callable[..., Any], tmp_path: Path
) -> None:
    assert shell.run("backfill", "AAPL", "--from", "2026-11-18", "--to", "2026-11-19").code == 0
    good = tmp_path / "good"
    assert shell.run("backup", str(good)).code == 0
    before = content(shell)
    assert before

    cut = tmp_path / "cut"
    cut.write_bytes(good.read_bytes()[:-2_000])
    newer = tmp_path / "newer"
    spoiled = tmp_path / "spoiled"
    with zipfile.ZipFile(good) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    described = json.loads(parts["backup.json"])
    for path, change in (
        (newer, {"backup.json": json.dumps(described | {"schema": "9999"}).encode()}),
        (spoiled, {"dagster.dump": parts["dagster.dump"][:-5_000]}),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in (parts | change).items():
                archive.writestr(name, data)
    for path, force, code, words in (
        (good, (), 2, "--force replaces it"),
        (cut, ("--force",), 2, "no backup of swiftbolt"),
        (tmp_path / "missing", ("--force",), 2, "cannot be read"),
        (newer, ("--force",), 2, "newer version"),
        # The bars were loaded already by then.
        (spoiled, ("--force",), 1, "pg_restore"),
    ):
        refused = shell.run("restore", str(path), *force)
        assert refused.code == code, refused
        assert words in refused.one_line()
        assert content(shell) == before
    with embedded.lease(shell.home):
        names = shell.sql("select datname from pg_database where datname ~ '_(incoming|replaced)$'")
        with embedded_connection(shell):
            in_use = shell.run("restore", str(good), "--force")
    assert names == []
    assert in_use.code == 1
    assert "connections use it" in in_use.one_line()

    assert shell.run("restore", str(good), "--force").code == 0
    assert content(shell) == before
    assert shell.run("migrate").out.startswith(f"schema {newest_revision()}: already the newest")
    empty = new_shell()
    nothing = empty.run("backup", str(tmp_path / "nothing"))
    assert nothing.code == 1
    assert "nothing to back up" in nothing.one_line()


def embedded_connection(shell: Any) -> Any:
    """Return a tool's connection."""
    import psycopg

    return psycopg.connect(shell.database_url)
