"""What a run is to its checks, and how they phrase the bars they find wrong.

What belongs here: what checks share. What does not: a check (`checks/`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from swiftbolt_assets.market.timeframes import Timeframe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from resources.storage import Storage
    from swiftbolt_assets.policy.shards import Shard

#: So many of what fails are named in an evaluation.
SHOWN = 20


@dataclass(frozen=True)
class CheckedRun:
    """What was asked for, and where the outcome is stored.

    Attributes:
        shard: whose assets.
        asked: past session dates by symbol id.
        derived: the timeframes that are derived, h1 and h4 unless switched off.
        storage: of the bars.

    """

    shard: Shard
    asked: Mapping[UUID, Sequence[date]]
    derived: Sequence[Timeframe]
    storage: Storage

    def phrased(
        self,
        specs: Sequence[dg.AssetCheckSpec],
        wrong: Sequence[tuple[str, datetime]],
        *,
        counted: str,
    ) -> Iterator[dg.AssetCheckResult]:
        """Yield the outcome for each asset from the (timeframe, start) of all wrong bars."""
        for spec in specs:
            asset = spec.asset_key.to_user_string()
            found = [
                at.isoformat()
                for timeframe, at in wrong
                if asset == self.shard.asset(Timeframe(timeframe))
            ]
            yield dg.AssetCheckResult(
                asset_key=spec.asset_key,
                check_name=spec.name,
                passed=not found,
                metadata={counted: len(found), "first": ", ".join(found[:SHOWN]) or "none"},
            )
