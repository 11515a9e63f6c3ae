"""Partitions: trading days x symbols, and the code location as the server loads it."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import dagster as dg
import pytest

from swiftbolt_assets.assets.partitions import BarKey, bar_partitions, parse_keys
from swiftbolt_assets.assets.surroundings import SOURCES
from swiftbolt_assets.clock import NEW_YORK
from swiftbolt_assets.definitions import FILL_BARS, build_definitions
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.settings import read_settings

#: Dagster 1.13 reads a name that pydantic has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
FIRST = date(2024, 1, 2)


def days(now: datetime) -> list[str]:
    """Return the keys of the date dimension at an instant."""
    partitions = bar_partitions(FIRST).get_partitions_def_for_dimension("date")
    return list(partitions.get_partition_keys(current_time=now))


def test_the_days_are_the_sessions_of_the_exchange_and_today() -> None:
    now = datetime(2026, 11, 20, 4, 1, tzinfo=NEW_YORK)
    expected = [str(s.day) for s in xnys().between(FIRST, date(2026, 11, 20))]
    assert days(now) == expected
    for closed in ("2025-01-09", "2025-07-04", "2025-12-25", "2026-04-03", "2026-11-15"):
        assert closed not in expected


@pytest.mark.parametrize(
    "now",
    [
        datetime(2026, 3, 9, 0, 1, tzinfo=NEW_YORK),
        datetime(2026, 11, 2, 0, 1, tzinfo=NEW_YORK),
        datetime(2026, 11, 2, 23, 59, tzinfo=NEW_YORK),
    ],
)
def test_today_is_a_partition_from_midnight_on_across_clock_changes(now: datetime) -> None:
    assert days(now)[-1] == str(now.date())
    assert str(now.date() + timedelta(days=1)) not in days(now)


def test_a_key_reads_date_bar_symbol() -> None:
    key = dg.MultiPartitionKey({"date": "2026-11-20", "symbol": "BRK.B"})
    assert str(key) == str(BarKey(date(2026, 11, 20), "BRK.B")) == "2026-11-20|BRK.B"
    assert parse_keys([key]) == [BarKey(date(2026, 11, 20), "BRK.B")]


def test_the_code_location_holds_what_others_rely_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLYGON_API_KEY", raising=False)
    definitions = build_definitions(read_settings({}))
    dg.Definitions.validate_loadable(definitions)
    repository = definitions.get_repository_def()
    graph = repository.asset_graph
    assert {key.to_user_string() for key in graph.materializable_asset_keys} == {
        "m15_bars",
        "h1_bars",
        "h4_bars",
    }
    assert {(c.asset_key.to_user_string(), c.name) for c in graph.asset_check_keys} == {
        ("m15_bars", "complete"),
        ("m15_bars", "fresh"),
        ("m15_bars", "splits_explain_prices"),
        ("m15_bars", "within_session"),
        ("h1_bars", "within_session"),
        ("h4_bars", "within_session"),
        ("h1_bars", "equals_resample"),
        ("h4_bars", "equals_resample"),
    }
    for name in ("h1_bars", "h4_bars"):
        assert graph.get(dg.AssetKey(name)).parent_keys == {dg.AssetKey("m15_bars")}
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.group_name == "bars"
        assert node.backfill_policy == dg.BackfillPolicy.single_run()
        assert isinstance(node.partitions_def, dg.MultiPartitionsDefinition)
    assert repository.has_job(FILL_BARS)
    assert {"postgres", "polygon", "tradier"} <= set(definitions.resources or {})


def test_shards_are_the_same_assets_each_with_a_partition_set_and_a_job_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("POLYGON_API_KEY", raising=False)
    definitions = build_definitions(read_settings({"SWIFTBOLT_SHARDS": "3"}))
    dg.Definitions.validate_loadable(definitions)
    repository = definitions.get_repository_def()
    graph = repository.asset_graph
    for number in (1, 2, 3):
        end = f"{number}of3"
        m15 = dg.AssetKey(f"m15_bars_{end}")
        for name in ("m15_bars", "h1_bars", "h4_bars"):
            node = graph.get(dg.AssetKey(f"{name}_{end}"))
            assert node.parent_keys == ({*SOURCES} if node.key == m15 else {m15})
            assert isinstance(node.partitions_def, dg.MultiPartitionsDefinition)
            symbols = node.partitions_def.get_partitions_def_for_dimension("symbol")
            assert isinstance(symbols, dg.DynamicPartitionsDefinition)
            assert symbols.name == f"symbols_{end}"
        assert repository.has_job(f"{FILL_BARS}_{end}")
        assert len([c for c in graph.asset_check_keys if c.asset_key == m15]) == 4
    assert len(list(graph.materializable_asset_keys)) == 9
