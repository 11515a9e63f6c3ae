"""What Dagster's database holds, asked by our SQL, is what Dagster itself says."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import
from __future__ import annotations

from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster import AssetMaterialization, DagsterInstance, DagsterRunStatus
from dagster._core.storage.sql import ALEMBIC_SCRIPTS_LOCATION
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.test_utils import create_run_for_test

from resources.platform.dagster_state import DagsterState, newest_revisions
from resources.postgres.database import Database
from swiftbolt_assets.orchestration.instance import plain_dagster_url, prepare_dagster


def test_the_newest_revision_is_alembics_own() -> None:
    config = Config()
    config.set_main_option("script_location", ALEMBIC_SCRIPTS_LOCATION)
    assert newest_revisions() == set(ScriptDirectory.from_config(config).get_heads())


def test_it_tells_schema_partitions_and_materializations(installation: Any) -> None:
    settings, database = installation.settings, installation.database
    state = DagsterState(Database(plain_dagster_url(settings), settings.clock.offset))
    assert state.is_newest()
    assert state.has_partitions({"symbols": []})
    assert not state.has_partitions({"symbols": ["NEVER"]})
    with DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("symbols", ["NEVER"])
        for day in ("2026-11-18", "2026-11-19"):
            told = AssetMaterialization("m15_bars", partition=f"{day}|NEVER")
            instance.report_runless_asset_event(told)
    keys = ["2026-11-18|NEVER", "2026-11-19|NEVER"]
    assert state.has_partitions({"symbols": ["NEVER"]})
    assert state.has_materialized(["m15_bars"], keys)
    assert not state.has_materialized(["m15_bars", "h1_bars"], keys)
    assert not state.has_materialized(["m15_bars"], [*keys, "2026-11-20|NEVER"])
    assert prepare_dagster(settings, database) is False


def test_it_tells_the_runs_that_have_a_process_and_which_are_below_a_code_server(
    installation: Any,
) -> None:
    settings = installation.settings
    state = DagsterState(Database(plain_dagster_url(settings), settings.clock.offset))
    under_way = {
        DagsterRunStatus.STARTING,
        DagsterRunStatus.STARTED,
        DagsterRunStatus.CANCELING,
    }
    with DagsterInstance.get() as instance:
        runs = {
            (create_run_for_test(instance, status=status, tags=tags).run_id, status): bool(tags)
            for status in set(DagsterRunStatus) - {DagsterRunStatus.QUEUED}
            for tags in ({}, {GRPC_INFO_TAG: "{}"})
        }
    told = state.runs_under_way()
    assert told == {run: below for (run, status), below in runs.items() if status in under_way}
    assert len(told) == 2 * len(under_way)
