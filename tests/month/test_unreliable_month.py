"""Some days of an unreliable provider end as those of a right one, and cost little more.

The days are those of `bench/month.py`, fewer and of fewer symbols.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import psycopg
import pytest

from rehearsal.days import PER_MINUTE, Days
from rehearsal.scenario import Scenario
from rehearsal.verdict import Verdict, judge
from resources.postgres.database import sibling_database

if TYPE_CHECKING:
    from collections.abc import Iterator

SCENARIO = Scenario(
    symbols=(
        *("AAPL", "AMZN", "BRK.B", "GOOGL", "JPM", "META"),
        *("MIDL", "MSFT", "NVDA", "QQQ", "SPY", "TSLA"),
    ),
    first=date(2026, 10, 26),
    disturbed=7,
    days=12,
    seed=2003,
    chance=0.12,
    latest=4,
    outage=False,
)
# Lived through once: by the file, not by the test.
pytestmark = pytest.mark.slow
#: Nights after a session, a request each, with the sessions before it.
UNDISTURBED = len(SCENARIO.symbols) * len(SCENARIO.sessions(SCENARIO.days - 1))
MOST = 1.3


@pytest.fixture(scope="module")
def lived(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    """Live through the days, in a database of the module's own."""
    name = "unreliable_month"
    admin = sibling_database(postgres_server, "_dagster")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"create database {name} template swiftbolt strategy file_copy")
    url = postgres_server.replace("/swiftbolt?", f"/{name}?")
    home = tmp_path_factory.mktemp("month")
    days = Days(SCENARIO, url, home, SCENARIO.unreliable(), certify=3)
    with days.simulator:
        for _ in days.live():
            pass
        yield days
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def verdict(lived: Days) -> Verdict:
    return judge(lived)


def test_the_table_is_the_providers_last_word(verdict: Verdict) -> None:
    assert verdict.bars == []
    assert verdict.sessions == []


def test_no_certificate_of_any_day_claimed_what_was_not_so(lived: Days, verdict: Verdict) -> None:
    assert lived.certificates > len(SCENARIO.symbols)
    assert verdict.claims == []
    assert lived.complaints == []


def test_it_costs_at_most_a_third_more_than_right_days(lived: Days) -> None:
    assert lived.busiest_minute <= PER_MINUTE
    asked = lived.requests - lived.first_fill
    assert UNDISTURBED <= asked <= MOST * UNDISTURBED
