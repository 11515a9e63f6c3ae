"""What the catalogue says about the assets: descriptions, owners, kinds, columns.

What belongs here: text and schema. What does not: how the bars are made (`bars.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from resources.providers.registry import HISTORY, NAMES, TODAY
from swiftbolt_assets.assets.freshness import policy
from swiftbolt_assets.assets.surroundings import SOURCES
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.shards import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swiftbolt_assets.policy.shards import Shard

GROUP = "bars"

_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("symbol_id", "uuid", "the symbol, key of table symbols"),
        dg.TableColumn("ts", "timestamptz", "start of the bar"),
        dg.TableColumn("open", "float8", "first price, dollars, not split-adjusted"),
        dg.TableColumn("high", "float8", "highest price, dollars"),
        dg.TableColumn("low", "float8", "lowest price, dollars"),
        dg.TableColumn("close", "float8", "last price, dollars"),
        dg.TableColumn("volume", "float8", "shares traded; may be fractional"),
        dg.TableColumn("vwap", "float8", "volume-weighted average price, dollars, or null"),
        dg.TableColumn("trade_count", "bigint", "trades, or null"),
        dg.TableColumn("provider", "data_provider", f"who delivered it: {' or '.join(NAMES)}"),
        dg.TableColumn("data_status", "text", "verified, live, or provisional while it forms"),
    ]
)

_REPORTED = (
    "Each materialization is one session of one symbol. Plots: `rows` stored bars, `gaps` quarter "
    "hours without one, `requests` and `seconds` this session's share of what its answer cost."
)


def _derived_from(asset: str) -> dict[str, dg.TableColumnLineage]:
    """Return which columns derived bars come from: the same, and the weights of `vwap`.

    The open-source web UI does not draw it; its GraphQL API tells it.
    """
    deps = {column.name: [dg.TableColumnDep(asset, column.name)] for column in _COLUMNS.columns}
    deps["vwap"].append(dg.TableColumnDep(asset, "volume"))
    return {"dagster/column_lineage": dg.TableColumnLineage(deps)}


def _spec(
    name: str,
    text: str,
    deps: Iterable[dg.AssetKey | str],
    kinds: set[str],
    lineage: dict[str, dg.TableColumnLineage] | None = None,
) -> dg.AssetSpec:
    return dg.AssetSpec(
        name,
        deps=deps,
        skippable=True,
        group_name=GROUP,
        description=text,
        owners=["team:market-data"],
        kinds=kinds,
        freshness_policy=policy(xnys()),
        metadata={
            "dagster/column_schema": _COLUMNS,
            "dagster/table_name": "public.ohlc_bars_v2",
            "partition": "New York trading date x symbol, such as 2026-11-20|AAPL",
            **(lineage or {}),
        },
    )


_HISTORY = (
    "15-minute bars of the regular session (26 a full day, 14 on an early close): history from "
    f"{HISTORY.label}, today from {TODAY.label}, every bar validated, every absence with its "
    "reason."
)
_HOURS = (
    "1-hour bars, derived from the session's stored 15-minute bars; buckets start at the open, so "
    "a full day has 7 and the last is half an hour."
)
_FOUR_HOURS = (
    "4-hour bars, derived from the session's stored 15-minute bars; buckets start at the open, so "
    "a full day has 2 and the last is two and a half hours."
)


def asset_specs(shard: Shard = WHOLE) -> tuple[dg.AssetSpec, ...]:
    """Return a shard's assets, the 15-minute bars first."""
    m15, h1, h4 = (shard.asset(t) for t in (Timeframe.M15, Timeframe.H1, Timeframe.H4))
    more = _REPORTED
    if shard != WHOLE:
        more += f" Symbols of shard {shard.number} of {shard.count}."
    return (
        _spec(m15, f"{_HISTORY} {more}", SOURCES, {"python", "postgres"}),
        _spec(h1, f"{_HOURS} {more}", [m15], {"polars", "postgres"}, _derived_from(m15)),
        _spec(h4, f"{_FOUR_HOURS} {more}", [m15], {"polars", "postgres"}, _derived_from(m15)),
    )
