"""What a person asked to be filled, and what came of it, as `backfill` and `demo` tell it.

What belongs here: the two records and their summary, as an object and for people. What does not:
filling (`filling.py`), how far it is meanwhile (`progress.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resources.queue.progress import Progress
    from swiftbolt_assets.cli.arguments import Window


@dataclass(frozen=True)
class Asked:
    """What a person asked to be filled.

    Attributes:
        symbols: canonical tickers.
        window: which days.
        priority: of runs and requests.
        force: fetch again what is covered.

    """

    symbols: Sequence[str]
    window: Window
    priority: int
    force: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a fill.

    Attributes:
        asked: what was asked.
        progress: where it ended.
        seconds: how long it took.
        first_bar_s: seconds to the first new bar, None when none was new.
        errors: why symbols were not filled, one line each.
        simulated: whether the bars are made up.

    """

    asked: Asked
    progress: Progress
    seconds: float
    first_bar_s: float | None
    errors: Sequence[str]
    simulated: bool

    @property
    def complete(self) -> bool:
        """Return whether every session before today is settled and nothing failed."""
        return self.progress.complete and not self.errors

    def as_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        window, now = self.asked.window, self.progress
        return {
            "symbols": list(self.asked.symbols),
            "from": window.first.isoformat(),
            "to": window.last.isoformat(),
            "sessions": now.final,
            "sessions_wanted": now.sessions,
            "bars": {str(timeframe): count for timeframe, count in now.bars.items()},
            "requests": now.requests,
            "theoretical_minimum": now.minimum,
            "rejected_bars": now.rejected,
            "seconds": round(self.seconds, 3),
            "seconds_to_first_bar": self.first_bar_s and round(self.first_bar_s, 3),
            "state": "complete" if self.complete else "incomplete",
            "simulated": self.simulated,
            "errors": list(self.errors),
        }


def print_summary(outcome: Outcome) -> None:
    """Print what a fill came to, for people."""
    result = outcome.as_json()
    bars = ", ".join(f"{count:,} {name}" for name, count in result["bars"].items())
    source = " (simulated)" if result["simulated"] else ""
    names = ", ".join(result["symbols"])
    click.echo(f"{names} {result['from']}..{result['to']}: {result['state']}{source}")
    click.echo(f"  sessions  {result['sessions']:,} of {result['sessions_wanted']:,} before today")
    click.echo(f"  bars      {bars}")
    click.echo(
        f"  requests  {result['requests']} (theoretical minimum {result['theoretical_minimum']}), "
        f"{result['rejected_bars']} bars rejected"
    )
    first = result["seconds_to_first_bar"]
    click.echo(
        f"  seconds   {result['seconds']:.1f}"
        + (f", first bar after {first:.1f}" if first is not None else "")
    )
    if result["state"] == "complete" and not any(result["bars"].values()):
        click.echo("  no provider has a bar of it in these days; is the symbol right?")
