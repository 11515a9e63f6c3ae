"""The composition root: which assets, resources and executor make up the code location.

It lists names and decides nothing. `defs` is what `workspace.yaml` loads; tests call
`build_definitions` with settings of their own.
"""

from __future__ import annotations

import dagster as dg

from swiftbolt_assets.startup import OwnModules

# Dagster imports this with the current folder first, where `resources` may be anybody's.
with OwnModules():
    from resources.dagster import POSTGRES, HistoryResource, PostgresResource, TodayResource
    from resources.providers.registry import HISTORY, TODAY
    from sensors.backfill import Rules, build_backfill_sensor
    from sensors.failures import build_failure_sensor
    from sensors.live import build_live_schedule
    from sensors.retention import build_retention_schedule
    from sensors.splits import build_splits_sensor
    from sensors.symbols import build_symbols_sensor
    from sensors.tickers import build_tickers_sensor
    from swiftbolt_assets.assets.bars import build_bar_assets
    from swiftbolt_assets.assets.surroundings import surrounding_specs
    from swiftbolt_assets.dagster_private.ended_runs import outlive_refusals
    from swiftbolt_assets.dagster_private.env_file import warn_of_env_file
    from swiftbolt_assets.dagster_private.forked_runs import fork_runs
    from swiftbolt_assets.jobs.live import build_live_job
    from swiftbolt_assets.jobs.retention import build_retention_job
    from swiftbolt_assets.jobs.splits import build_splits_job
    from swiftbolt_assets.jobs.tickers import build_tickers_job
    from swiftbolt_assets.market.timeframes import Timeframe
    from swiftbolt_assets.orchestration.simulated import SimulatedHistory, SimulatedToday
    from swiftbolt_assets.policy.admission import lowest
    from swiftbolt_assets.policy.shards import Shards
    from swiftbolt_assets.settings import Settings, read_settings

#: The job of all bar assets of a shard, for launching by name (`Shard.job`).
FILL_BARS = "fill_bars"


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the code location for some settings."""
    derived = derived_timeframes(settings)
    history, today = history_resource(settings), today_resource(settings)
    shards = Shards(settings.shards)
    bars = {shard: build_bar_assets(settings.first_date, derived, shard) for shard in shards.all}
    postgres = PostgresResource()
    rules = Rules(
        settings.first_date,
        settings.max_concurrent_jobs,
        settings.background,
        shards,
        settings.has_live,
    )
    least = lowest(background=settings.background)
    live = build_live_job(derived, least, shards)
    retention = build_retention_job()
    return dg.Definitions(
        assets=[
            *bars.values(),
            *surrounding_specs(key for of_shard in bars.values() for key in of_shard.keys),
        ],
        schedules=[
            build_live_schedule(postgres, today, live, least_priority=least),
            build_retention_schedule(postgres, retention),
        ],
        sensors=[
            build_backfill_sensor(postgres, rules),
            build_failure_sensor(postgres),
            build_symbols_sensor(postgres, shards),
            build_splits_sensor(postgres, history),
            build_tickers_sensor(postgres, history),
        ],
        jobs=[
            *(
                dg.define_asset_job(
                    shard.job(FILL_BARS), selection=dg.AssetSelection.assets(of_shard)
                )
                for shard, of_shard in bars.items()
            ),
            live,
            build_splits_job(shards),
            build_tickers_job(),
            retention,
        ],
        resources={
            POSTGRES: postgres,
            HISTORY.name: history,
            TODAY.name: today,
        },
        loggers={"console": console_logger(settings)},
        # One process a run: a step of its own would import everything again, 1-2 s of CPU.
        executor=dg.in_process_executor,
    )


def derived_timeframes(settings: Settings) -> list[Timeframe]:
    """Return the timeframes that are derived from the 15-minute bars."""
    wanted = {Timeframe.H1: settings.resample_h1, Timeframe.H4: settings.resample_h4}
    return [timeframe for timeframe, is_wanted in wanted.items() if is_wanted]


def console_logger(settings: Settings) -> dg.LoggerDefinition:
    """Return how runs write their log."""
    return dg.json_console_logger if settings.log_format == "json" else dg.colored_console_logger


def history_resource(settings: Settings) -> HistoryResource:
    """Return where history comes from: its provider, or a simulator without any key."""
    access = settings.history
    plays = settings.simulated and not access.url
    kind = SimulatedHistory if plays else HistoryResource
    return kind(base_url=access.url, requests_per_minute=access.per_minute)


def today_resource(settings: Settings) -> TodayResource:
    """Return where today's bars come from: their provider, or a simulator without any key."""
    access = settings.providers[TODAY.name]
    plays = settings.simulated and not access.url
    kind = SimulatedToday if plays else TodayResource
    return kind(base_url=access.url, requests_per_minute=access.per_minute)


@dg.definitions
def defs() -> dg.Definitions:
    """Return the code location of this installation."""
    warn_of_env_file()
    outlive_refusals()
    settings = read_settings()
    if settings.fork_runs:
        fork_runs()
    return build_definitions(settings)
