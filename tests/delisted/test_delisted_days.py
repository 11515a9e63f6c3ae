"""Days of an installation most of whose symbols trade no more, by a stepped market clock.

The planner, claims, filler, live rounds and the simulator are the product's; Dagster is left out.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from rehearsal.days import Days
from rehearsal.scenario import Scenario
from resources.bars.symbols import ensure_symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FIRST = date(2026, 11, 2)
LIVING = ("AAPL", "MIDL", "MSFT", "NVDA")
DEAD = tuple(f"D{number:03d}" for number in range(500))
#: Long before the first day.
GONE = date(2026, 6, 1)
pytestmark = pytest.mark.slow

# What an older version has left: nights of asking, the living with bars in the ledger.
_LEFT = """
insert into session_coverage
  (symbol_id, day, state, reason, expected, bars, answers, provider, settled_at)
select s.id, m.day, 'final', case when s.ticker like 'D%%' then 'provider_empty' end,
  n.slots, case when s.ticker like 'D%%' then 0 else n.slots end, 3, 'polygon', clock_timestamp()
  from symbols s, market_sessions m
 cross join lateral (select (extract(epoch from m.closes - m.opens) / 900)::int as slots) n
 where s.ticker = any(%s) and m.day >= %s and m.day < %s
"""


def scenario(symbols: tuple[str, ...], days: int) -> Scenario:
    return Scenario(symbols, FIRST, 0, days, seed=1, chance=0.0, latest=1, outage=False)


@pytest.fixture
def live(database_url: str, tmp_path: Path) -> Iterator[Callable[..., Days]]:
    """Return what makes days on a database of their own, their simulator running."""
    running: list[Days] = []

    def make(symbols: tuple[str, ...], days: int, **settings: object) -> Days:
        lived = Days(scenario(symbols, days), database_url, tmp_path, **settings)  # type: ignore[arg-type]
        lived.simulator.start()
        running.append(lived)
        return lived

    yield make
    for one in running:
        one.simulator.stop()


def asked(days: Days) -> dict[date, list[str]]:
    """Return whose bars were asked of Polygon, by New York date of the market clock."""
    found: dict[date, list[str]] = {}
    for day, symbol in days.rows(
        "select (market_at at time zone 'America/New_York')::date, symbol from provider_requests"
        " where provider = 'polygon' and symbol is not null order by id"
    ):
        found.setdefault(day, []).append(symbol)
    return found


def test_500_symbols_that_trade_no_more_take_at_most_20_requests_a_day(
    live: Callable[..., Days],
) -> None:
    """They have been there for long: they are found without a request for the proof."""
    days = live((*LIVING, *DEAD), 7, delistings=dict.fromkeys(DEAD, GONE))
    ensure_symbols(days.database, [*LIVING, *DEAD])
    days.rows(_LEFT, [*LIVING, *DEAD], FIRST - timedelta(days=60), FIRST)
    for _ in days.live():
        pass
    by_day = asked(days)
    of_dead = {day: [one for one in whose if one in DEAD] for day, whose in by_day.items()}
    assert max(len(whose) for whose in of_dead.values()) <= 20
    assert sum(len(whose) for whose in of_dead.values()) >= 5 * 16
    whose = [one for day in of_dead.values() for one in day]
    assert len(whose) == len(set(whose))
    # Tradier is asked about nobody of them.
    live_asked = days.rows("select distinct symbol from provider_requests where provider='tradier'")
    assert {row[0] for row in live_asked} == set(LIVING)
    # The living had each of their nights.
    nights = {day: set(whose) & set(LIVING) for day, whose in by_day.items()}
    assert list(nights.values()).count(set(LIVING)) >= 5
