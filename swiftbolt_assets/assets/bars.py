"""The three assets: 15-minute bars from the providers, 1-hour and 4-hour bars derived from them.

One multi-asset, one run for any rectangle of days and symbols. Every asked partition is reported
as soon as its transaction has committed, also when it ends with no bar and a reason, so that a
backfill's progress moves with every request and a killed run resumes.

What belongs here: keys in, one symbol after the other, check results out. What does not: a
symbol's part (`symbol_run.py`), launching (`orchestration/`), decisions (`market/`).
"""

# No `from __future__ import annotations`: Dagster reads the asset's annotations at run time.
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby
from uuid import UUID

import dagster as dg

from resources.dagster import POSTGRES, opened, source
from resources.providers.registry import HISTORY, TODAY
from resources.queue.rechecks import RecheckBook
from swiftbolt_assets.assets.catalogue import asset_specs
from swiftbolt_assets.assets.checked_run import CheckedRun
from swiftbolt_assets.assets.every_check import check_results, check_specs
from swiftbolt_assets.assets.failing import failure
from swiftbolt_assets.assets.partitions import bar_partitions, parse_keys
from swiftbolt_assets.assets.symbol_run import SymbolRun
from swiftbolt_assets.errors import ProviderError, SwiftBoltError
from swiftbolt_assets.filling.target import Target
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.admission import URGENT
from swiftbolt_assets.policy.shards import WHOLE, Shard

#: Runs without it come from a person at the Dagster UI or command line.
PRIORITY_TAG = "dagster/priority"
#: A run with this tag asks again for sessions that are settled.
FORCE_TAG = "swiftbolt/force"
#: A run with this tag asks once for the newest session: the claim of a button that was pressed.
RECHECK_TAG = "swiftbolt/recheck"
#: A run with this tag sends one request through a provider's cool-down.
PROBE_TAG = "swiftbolt/probe"


def build_bar_assets(
    first_date: date, derived: Sequence[Timeframe], shard: Shard = WHOLE
) -> dg.AssetsDefinition:
    """Return the multi-asset of m15, h1 and h4 bars of a shard's symbols.

    Args:
        first_date: the first partition.
        derived: the timeframes that are derived (`RESAMPLE_H1_FROM_M15`, `RESAMPLE_H4_FROM_M15`).
        shard: whose symbols.

    """
    partitions = bar_partitions(first_date, shard)

    @dg.multi_asset(
        name=f"bars{shard.suffix}",
        specs=[spec.replace_attributes(partitions_def=partitions) for spec in asset_specs(shard)],
        check_specs=check_specs(shard),
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
        required_resource_keys={POSTGRES, HISTORY.name, TODAY.name},
    )
    def bars(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult]:
        keys = sorted(parse_keys(context.partition_keys), key=lambda key: (key.symbol, key.day))
        tags = context.run.tags
        storage = opened(context)
        asked: dict[UUID, list[date]] = {}
        recheck = UUID(tags[RECHECK_TAG]) if RECHECK_TAG in tags else None
        try:
            for symbol, of_symbol in groupby(keys, key=lambda key: key.symbol):
                symbol_id = storage.symbol(symbol)
                priority = int(tags.get(PRIORITY_TAG, URGENT))
                run = SymbolRun(
                    context=context,
                    shard=shard,
                    target=Target(symbol, symbol_id, priority, tuple(derived)),
                    storage=storage,
                    history=source(context, HISTORY),
                    live=source(context, TODAY),
                    force=tags.get(FORCE_TAG) == "true",
                    probe=tags.get(PROBE_TAG) == "true",
                    recheck=recheck,
                )
                days = [key.day for key in of_symbol]
                try:
                    asked[symbol_id] = run.execute(days)
                except ProviderError as error:
                    if recheck is None:
                        storage.work.fail(symbol, error, (days[0], days[-1]), priority=priority)
                    else:
                        RecheckBook(storage.database).failed(recheck, error)
                    raise
        except SwiftBoltError as error:
            raise failure(error) from error
        finally:
            storage.close()
        yield from check_results(
            context.selected_asset_check_keys, CheckedRun(shard, asked, derived, storage)
        )

    return bars
