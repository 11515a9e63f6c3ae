"""All checks of a run's assets: the modules of `assets/checks/`, found by being there.

Each has `specs`, which says what of a shard's assets is checked, and `results`, which evaluates
those of them that a run selected: one evaluation per check and run, whose metadata names what
fails. What belongs here: finding and running them. What does not: a check.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol, cast

from swiftbolt_assets.assets import checks
from swiftbolt_assets.policy.shards import WHOLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import dagster as dg

    from swiftbolt_assets.assets.checked_run import CheckedRun
    from swiftbolt_assets.policy.shards import Shard


class Check(Protocol):
    """What each module here is."""

    @staticmethod
    def specs(shard: Shard) -> tuple[dg.AssetCheckSpec, ...]:
        """Return the check of each asset that has it."""

    @staticmethod
    def results(
        specs: Sequence[dg.AssetCheckSpec], run: CheckedRun
    ) -> Iterator[dg.AssetCheckResult]:
        """Evaluate some of them over the past sessions of a run."""


def check_specs(shard: Shard = WHOLE) -> tuple[dg.AssetCheckSpec, ...]:
    """Return all checks of a shard's assets."""
    return tuple(spec for check in _checks() for spec in check.specs(shard))


def check_results(
    selected: set[dg.AssetCheckKey], run: CheckedRun
) -> Iterator[dg.AssetCheckResult]:
    """Evaluate the selected checks of a run."""
    for check in _checks():
        if wanted := [spec for spec in check.specs(run.shard) if spec.key in selected]:
            yield from check.results(wanted, run)


@cache
def _checks() -> tuple[Check, ...]:
    return tuple(
        cast("Check", import_module(f"{checks.__name__}.{found.name}"))
        for found in iter_modules(checks.__path__)
    )
