"""Dagster's own commands, as real processes, with the environment of the installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from swiftbolt_assets.orchestration.instance import add_symbols, open_instance

if TYPE_CHECKING:
    from pathlib import Path

    from tests.assets.conftest import Installation

pytestmark = pytest.mark.slow
ALL = ("-m", "swiftbolt_assets.definitions", "--select", "m15_bars,h1_bars,h4_bars")
H1 = ("-m", "swiftbolt_assets.definitions", "--select", "h1_bars")


def test_a_partition_a_range_a_rectangle_and_h1_alone_are_materialized(
    installation: Installation,
) -> None:
    add_symbols(installation.settings, ["AAPL", "MSFT"])
    done = installation.command("asset", "materialize", *ALL, "--partition", "2026-11-19|AAPL")
    assert done.returncode == 0, done.stderr
    assert [installation.count(name) for name in ("m15", "h1", "h4")] == [26, 7, 2]
    assert len(installation.requests()) == 1

    span = "2026-11-12|AAPL...2026-11-18|AAPL"
    done = installation.command("asset", "materialize", *ALL, "--partition-range", span)
    assert done.returncode == 0, done.stderr
    assert installation.count("m15") == 26 * 6

    rectangle = "2026-11-12|AAPL...2026-11-18|MSFT"
    done = installation.command("asset", "materialize", *ALL, "--partition-range", rectangle)
    assert done.returncode == 0, done.stderr
    assert installation.count("m15", "MSFT") == 26 * 5
    assert len(installation.requests()) == 3

    installation.sql("delete from ohlc_bars_v2 where timeframe = 'h1'")
    done = installation.command("asset", "materialize", *H1, "--partition-range", span)
    assert done.returncode == 0, done.stderr
    assert installation.count("h1") == 7 * 5
    assert len(installation.requests()) == 3


def test_a_failed_run_names_the_file_that_its_log_is_in(
    installation: Installation, tmp_path: Path
) -> None:
    add_symbols(installation.settings, ["AAPL"])
    installation.faults(kinds=["not_authorized_200"], provider="polygon")
    log = tmp_path / "a.log"
    with log.open("w") as out:
        installation.command(
            "asset", "materialize", *ALL, "--partition", "2026-11-19|AAPL", stderr=out
        )
    with open_instance(installation.settings) as instance:
        (newest,) = instance.get_runs(limit=1)
        events = [entry.dagster_event for entry in instance.all_logs(newest.run_id)]
    (failed,) = [event for event in events if event is not None and event.is_step_failure]
    told = failed.step_failure_data.user_failure_data
    assert told is not None
    assert told.metadata["log"].value == str(log)
    assert "polygon: the key's plan does not include this" in log.read_text()


def test_a_run_that_fails_ends_its_command_with_the_reason(installation: Installation) -> None:
    add_symbols(installation.settings, ["AAPL"])
    installation.faults(kinds=["not_authorized_200"], provider="polygon")
    done = installation.command("asset", "materialize", *ALL, "--partition", "2026-11-19|AAPL")
    assert done.returncode != 0
    assert "polygon: the key's plan does not include this" in done.stderr + done.stdout
    assert len(installation.requests()) == 1
