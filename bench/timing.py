"""Repetitions side by side, and what they amount to.

Every variant of a comparison runs once before any runs again (A B A B), so that a noisy moment of
the machine meets all of them. What belongs here: clocks, medians, ratios. What does not: what is
measured (the other modules), how it is shown (`results.py`).
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Timings:
    """The repetitions of one variant, in seconds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return the median."""
        return median(self.seconds)

    @property
    def p95(self) -> float:
        """Return the 95th percentile; the maximum of fewer than two repetitions."""
        if len(self.seconds) < 2:
            return max(self.seconds)
        return quantiles(self.seconds, n=20, method="inclusive")[-1]

    def as_json(self) -> dict[str, float | list[float]]:
        """Return the figures for the results file, in milliseconds."""
        return {
            "median_ms": round(self.median * 1e3, 3),
            "min_ms": round(min(self.seconds) * 1e3, 3),
            "max_ms": round(max(self.seconds) * 1e3, 3),
            "repetitions_ms": [round(s * 1e3, 3) for s in self.seconds],
        }


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that `work` takes, garbage of earlier work collected before."""
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def side_by_side(
    variants: Mapping[str, Callable[[], float]], repetitions: int
) -> dict[str, Timings]:
    """Run the variants in turns and return each one's timings.

    Args:
        variants: by name, a call that prepares, measures and returns its seconds.
        repetitions: turns.

    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repetitions):
        for name, measure in variants.items():
            seconds[name].append(measure())
    return {name: Timings(tuple(values)) for name, values in seconds.items()}


def paired_ratios(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[float, ...]:
    """Return the ratio of each turn's two timings: both met the same moment of the machine."""
    return tuple(a / b for a, b in zip(numerators, denominators, strict=True))
