"""The composition root: which assets, resources and executor make up the code location.

It lists names and decides nothing. `defs` is what `workspace.yaml` loads; tests call
`build_definitions` with settings of their own.
"""

from __future__ import annotations

import dagster as dg

from swiftbolt_assets.startup import OwnModules

# Dagster imports this with the current folder first, where `resources` may be anybody's.
with OwnModules():
    from resources.dagster import PolygonResource, PostgresResource, TradierResource
    from sensors.backfill import Rules, build_backfill_sensor
    from sensors.failures import build_failure_sensor
    from sensors.retention import build_retention_schedule
    from sensors.schedules import build_live_schedule
    from sensors.splits import build_splits_sensor
    from sensors.symbols import build_symbols_sensor
    from sensors.tickers import build_tickers_sensor
    from swiftbolt_assets.assets.bars import build_bar_assets
    from swiftbolt_assets.assets.live import build_live_job
    from swiftbolt_assets.assets.splits import build_splits_job
    from swiftbolt_assets.assets.tickers import build_tickers_job
    from swiftbolt_assets.market.lanes import lowest
    from swiftbolt_assets.market.shards import Shards
    from swiftbolt_assets.market.timeframes import Timeframe
    from swiftbolt_assets.orchestration.env_file import warn_of_env_file
    from swiftbolt_assets.orchestration.forked_runs import fork_runs
    from swiftbolt_assets.orchestration.retention import build_retention_job
    from swiftbolt_assets.orchestration.simulated import SimulatedPolygon, SimulatedTradier
    from swiftbolt_assets.settings import Settings, read_settings

#: The job of all bar assets of a shard, for launching by name (`Shard.job`).
FILL_BARS = "fill_bars"


def build_definitions(settings: Settings) -> dg.Definitions:
    """Return the code location for some settings."""
    derived = derived_timeframes(settings)
    history = polygon_resource(settings)
    tradier = tradier_resource(settings)
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
        assets=[*bars.values()],
        schedules=[
            build_live_schedule(postgres, tradier, live, least_priority=least),
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
            "postgres": postgres,
            "polygon": history,
            "tradier": tradier,
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


def polygon_resource(settings: Settings) -> PolygonResource:
    """Return where history comes from: Polygon, or a simulator without any key."""
    plays = settings.simulated and not settings.polygon_url
    kind = SimulatedPolygon if plays else PolygonResource
    return kind(base_url=settings.polygon_url, requests_per_minute=settings.polygon_per_minute)


def tradier_resource(settings: Settings) -> TradierResource:
    """Return where today's bars come from: Tradier, or a simulator without any key."""
    plays = settings.simulated and not settings.tradier_url
    kind = SimulatedTradier if plays else TradierResource
    return kind(base_url=settings.tradier_url, requests_per_minute=settings.tradier_per_minute)


@dg.definitions
def defs() -> dg.Definitions:
    """Return the code location of this installation."""
    warn_of_env_file()
    settings = read_settings()
    if settings.fork_runs:
        fork_runs()
    return build_definitions(settings)
