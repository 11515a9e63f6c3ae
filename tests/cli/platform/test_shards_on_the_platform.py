"""Symbols divided over three sets of assets: filled by the sensor, each where it belongs."""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from resources.postgres.embedded import server as embedded

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

#: Of each shard at least one.
SHARDS = {"JPM": "1of3", "TSLA": "1of3", "MSFT": "2of3", "ADBE": "3of3"}
_PARTITIONS = """
query ($keys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $keys) {
    assetKey { path }
    partitionStats { numMaterialized numFailed }
  }
}
"""
_BARS = """
select ticker, timeframe::text, ts, open, high, low, close, volume, provider::text, data_status
  from ohlc_bars_v2 b join symbols s on s.id = b.symbol_id
 where ts < '2026-11-20' order by 1, 2, 3
"""
_LEDGER = """
select ticker, day, state, reason, expected, bars, absences
  from session_coverage c join symbols s on s.id = c.symbol_id
 where day < '2026-11-20'
 order by 1, 2
"""


def stats(up: Any) -> dict[str, tuple[int, int]]:
    """Return how many partitions of each asset are materialized, and how many failed."""
    names = [f"{t}_bars_{n}of3" for t in ("m15", "h1", "h4") for n in (1, 2, 3)]
    nodes = up.ask(_PARTITIONS, keys=[{"path": [name]} for name in names])["assetNodes"]
    return {node["assetKey"]["path"][0]: tuple(node["partitionStats"].values()) for node in nodes}


def history(market: Any) -> list[str]:
    """Return the questions about past sessions, sorted; splits and today are asked for besides."""
    return sorted(one["path"] for one in market.requests() if one["path"].startswith("/v2/aggs/"))


def expected(up: Any) -> dict[str, tuple[int, int]]:
    """Return what the ledger says: each session, today's included, of each shard's symbols."""
    rows = up.rows(
        "select ticker, count(*) from session_coverage c"
        " join symbols s on s.id = c.symbol_id group by 1"
    )
    counts = Counter({f"{n}of3": 0 for n in (1, 2, 3)})
    for symbol, sessions in rows:
        counts[SHARDS[symbol]] += sessions
    return {f"{t}_bars_{name}": (n, 0) for name, n in counts.items() for t in ("m15", "h1", "h4")}


def test_a_fill_over_three_shards_ends_complete_and_equal_to_that_over_one(
    new_up: Callable[..., Any],
    new_settled: Callable[..., Any],
    wait_for: Callable[..., Any],
    module_market: Any,
) -> None:
    market = module_market
    provider = {"POLYGON_BASE_URL": market.url, "TRADIER_BASE_URL": market.url}
    up = new_up(SWIFTBOLT_SHARDS="3", **provider)
    for symbol in SHARDS:
        up.track(symbol)
    for symbol in SHARDS:
        wait_for(lambda name=symbol: up.is_complete(name), f"{symbol} is complete", 240)
    wait_for(
        lambda: stats(up) == expected(up), "every partition is materialized in its own shard", 60
    )

    # A command launches the job of the symbol's shard; what is settled costs nothing.
    asked = history(market)
    again = up.shell.run("backfill", "MSFT", "--from", "2026-11-02", "--to", "2026-11-19", "--json")
    assert (again.code, again.json["requests"]) == (0, 0), again
    assert history(market) == asked

    alone = new_settled(**provider)
    with embedded.lease(alone.home):
        filled = alone.run("backfill", *SHARDS, "--days", "365", timeout=240)
        assert filled.code == 0, filled
        assert up.rows(_BARS) == alone.sql(_BARS)
        assert up.rows(_LEDGER) == alone.sql(_LEDGER)
