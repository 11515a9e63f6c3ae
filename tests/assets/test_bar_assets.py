"""The three assets on a real Dagster instance, in this process."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.assets.conftest import Installation

ASSETS = ("m15_bars", "h1_bars", "h4_bars")
#: Dagster 1.13 reads a name that pydantic has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")
KEY = "sekret-Key_0123456789"


def test_every_asked_partition_is_reported_with_numbers_that_can_be_plotted(
    installation: Installation,
) -> None:
    run = installation.materialize("2026-11-16|AAPL", "2026-11-20|AAPL")
    assert run.success
    made = run.materializations
    days = [f"2026-11-{day}" for day in (16, 17, 18, 19, 20)]
    assert set(made) == {(asset, f"{day}|AAPL") for asset in ASSETS for day in days}
    for asset, rows in zip(ASSETS, (26, 7, 2), strict=True):
        for day in days:
            metadata = made[asset, f"{day}|AAPL"]
            assert (metadata["rows"], metadata["expected"], metadata["gaps"]) == (rows, rows, 0)
            assert type(metadata["rows"]) is int
            assert type(metadata["seconds"]) is float
            assert metadata["seconds"] > 0
            assert metadata["dagster/partition_row_count"] == rows
            assert metadata["state"] == ("provisional" if day == "2026-11-20" else "final")
    history = [made["m15_bars", f"{day}|AAPL"]["requests"] for day in days[:4]]
    assert history == [0.25] * 4
    assert made["m15_bars", "2026-11-20|AAPL"]["requests"] == 1.0
    assert {name: check.passed for name, check in run.checks.items()} == {
        "m15_bars.complete": True,
        "h1_bars.equals_resample": True,
        "h4_bars.equals_resample": True,
        "m15_bars.fresh": True,
        "m15_bars.splits_explain_prices": True,
        "m15_bars.within_session": True,
        "h1_bars.within_session": True,
        "h4_bars.within_session": True,
    }


def test_a_second_run_reports_the_same_rows_and_asks_nothing(installation: Installation) -> None:
    installation.materialize("2026-11-16|AAPL", "2026-11-19|AAPL")
    installation.forget_requests()
    made = installation.materialize("2026-11-16|AAPL", "2026-11-19|AAPL").materializations
    assert installation.requests() == []
    assert {metadata["rows"] for (asset, _), metadata in made.items() if asset == "m15_bars"} == {
        26
    }
    assert {metadata["requests"] for metadata in made.values()} == {0.0}


def test_a_rectangle_of_symbols_and_days_fills_each_symbol(installation: Installation) -> None:
    run = installation.materialize("2026-11-12|AAPL", "2026-11-18|MSFT")
    assert run.success
    assert len(run.materializations) == 3 * 2 * 5
    assert [installation.count(name, "AAPL") for name in ("m15", "h1", "h4")] == [130, 35, 10]
    assert [installation.count(name, "MSFT") for name in ("m15", "h1", "h4")] == [130, 35, 10]
    assert len(installation.requests()) == 2


def test_h1_alone_is_derived_again_without_a_request(installation: Installation) -> None:
    installation.materialize("2026-11-16|AAPL", "2026-11-19|AAPL")
    installation.sql("delete from ohlc_bars_v2 where timeframe = 'h1'")
    installation.forget_requests()
    run = installation.materialize("2026-11-16|AAPL", "2026-11-19|AAPL", assets=("h1_bars",))
    assert run.success
    assert installation.requests() == []
    assert installation.count("h1") == 28
    assert {asset for asset, _ in run.materializations} == {"h1_bars"}
    assert {metadata["rows"] for metadata in run.materializations.values()} == {7}
    assert run.checks["h1_bars.equals_resample"].passed


def test_a_wrong_derived_bar_fails_its_check_which_names_it(installation: Installation) -> None:
    installation.materialize("2026-11-18|AAPL", "2026-11-19|AAPL")
    installation.sql(
        "update ohlc_bars_v2 set volume = volume + 1"
        " where timeframe = 'h1' and ts = '2026-11-18 15:30+00'"
    )
    run = installation.materialize("2026-11-18|AAPL", "2026-11-19|AAPL")
    check = run.checks["h1_bars.equals_resample"]
    assert not check.passed
    assert check.metadata["bars_that_differ"].value == 1
    assert "2026-11-18T15:30:00" in check.metadata["first"].value
    assert run.checks["h4_bars.equals_resample"].passed
    assert run.checks["m15_bars.complete"].passed


def test_a_failing_provider_fails_the_run_and_what_was_stored_is_reported(
    installation: Installation,
) -> None:
    installation.materialize("2026-11-18|AAPL")
    installation.faults(kinds=["html200"], provider="polygon")
    run = installation.materialize("2026-11-17|AAPL", "2026-11-18|AAPL")
    assert not run.success
    assert run.failure.startswith("polygon: ")
    assert "\n" not in run.failure
    assert set(run.materializations) == {(asset, "2026-11-18|AAPL") for asset in ASSETS}


def test_days_that_the_market_clock_has_not_reached_report_no_rows(
    install: Callable[..., Installation],
) -> None:
    installation = install(now=datetime(2026, 11, 17, 22, 30, tzinfo=UTC))
    run = installation.materialize("2026-11-16|AAPL", "2026-11-20|AAPL")
    assert run.success
    made = run.materializations
    assert [made["m15_bars", f"2026-11-{day}|AAPL"]["rows"] for day in range(16, 21)] == [
        26,
        26,
        0,
        0,
        0,
    ]
    assert "reason" in made["m15_bars", "2026-11-18|AAPL"]


def test_what_has_no_bars_says_why(installation: Installation) -> None:
    run = installation.materialize("2026-11-18|ZZTOP", "2026-11-19|ZZTOP")
    assert run.success
    metadata = run.materializations["m15_bars", "2026-11-19|ZZTOP"]
    assert (metadata["rows"], metadata["gaps"], metadata["reason"]) == (0, 26, "unconfirmed")


def test_derivation_can_be_switched_off(install: Callable[..., Installation]) -> None:
    installation = install(environ={"RESAMPLE_H4_FROM_M15": "false"})
    run = installation.materialize("2026-11-18|AAPL")
    assert run.success
    assert [installation.count(name) for name in ("m15", "h1", "h4")] == [26, 7, 0]
    assert run.checks["h4_bars.equals_resample"].passed


def test_force_asks_again_for_what_is_settled(installation: Installation) -> None:
    installation.materialize("2026-11-18|AAPL")
    installation.forget_requests()
    installation.materialize("2026-11-18|AAPL", swiftbolt__force="true")
    assert len(installation.requests()) == 1


def test_a_wrong_key_costs_few_requests_and_is_shown_nowhere(
    install: Callable[..., Installation], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    installation = install(
        environ={"POLYGON_API_KEY": KEY}, polygon_keys=frozenset({"another-key"})
    )
    run = installation.materialize("2024-11-20|AAPL", "2026-11-19|AAPL")
    assert not run.success
    assert "POLYGON_API_KEY" in run.failure
    again = installation.materialize("2024-11-20|AAPL", "2026-11-19|AAPL")
    assert "POLYGON_API_KEY" in again.failure
    assert 1 <= len(installation.requests()) <= 3
    assert installation.sql("select count(*) from session_coverage") == [(0,)]
    shown = [run.failure, again.failure, caplog.text, *map(str, run.logs), *map(str, again.logs)]
    shown += [
        str(installation.sql(f"select * from {table}"))
        for table in ("provider_requests", "provider_health", "rejected_bars")
    ]
    assert not [text for text in shown if KEY in text]
