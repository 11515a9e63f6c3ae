"""A provider that fails is left alone for a while, and asked again by its own answers only."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.providers.contract import Answer
from resources.providers.health import GuardedProvider, ProviderHealth
from swiftbolt_assets.errors import (
    BeyondPlanError,
    KeyRefusedError,
    LeftAloneError,
    MalformedReplyError,
    NotYetAvailableError,
    ProviderError,
    RateLimitedError,
    StorageError,
    UnavailableError,
)
from swiftbolt_assets.market.bars import empty_bars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAY = date(2020, 7, 1)
DOWN = UnavailableError("polygon: HTTP 503")
DENIED = KeyRefusedError("polygon: the key was refused; check POLYGON_API_KEY")
GOOD = Answer(
    provider="polygon",
    symbol="AAPL",
    first=DAY,
    last=DAY,
    bars=empty_bars(),
    base_minutes=0,
    requests=1,
    request_ids=(),
    broken_off=None,
)


@dataclass
class Scripted:
    """A provider that plays outcomes in turn."""

    outcomes: list[Answer | Exception]
    name: str = "polygon"
    asked: list[str] = field(default_factory=list)

    def fetch(self, symbol: str, first: date, last: date, *, priority: int) -> Answer:
        del first, last, priority
        self.asked.append(symbol)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def health(database_url: str) -> ProviderHealth:
    return ProviderHealth(lambda: psycopg.connect(database_url))


@pytest.fixture
def sql(database_url: str) -> Iterator[Callable[..., Any]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection.execute


def fetch(provider: GuardedProvider, times: int = 1) -> list[type]:
    outcomes: list[type] = []
    for _ in range(times):
        try:
            outcomes.append(type(provider.fetch("AAPL", DAY, DAY, priority=100)))
        except ProviderError as error:
            outcomes.append(type(error))
    return outcomes


def test_three_failures_in_a_row_start_a_cool_down(health: ProviderHealth) -> None:
    inner = Scripted([DOWN, MalformedReplyError("polygon: cut"), DOWN])
    provider = GuardedProvider(inner, health)
    assert fetch(provider, 2) == [UnavailableError, MalformedReplyError]
    assert health.cooling("polygon") is None
    assert fetch(provider, 3) == [UnavailableError, LeftAloneError, LeftAloneError]
    assert len(inner.asked) == 3
    cooling = health.cooling("polygon")
    assert cooling is not None
    assert 4 < cooling.seconds <= 5
    assert cooling.symbols == ("AAPL",), "one symbol's trouble is not the others'"
    assert (cooling.reason, cooling.error_code) == ("polygon: HTTP 503", "PROVIDER_UNAVAILABLE")


def test_an_answer_forgets_the_failures_before_it(health: ProviderHealth) -> None:
    inner = Scripted([DOWN, DOWN, GOOD, DOWN, DOWN])
    fetch(GuardedProvider(inner, health), 5)
    assert len(inner.asked) == 5
    assert health.cooling("polygon") is None


def test_a_refused_key_starts_a_cool_down_at_once(health: ProviderHealth) -> None:
    inner = Scripted([DENIED])
    refused = [KeyRefusedError, LeftAloneError, LeftAloneError]
    assert fetch(GuardedProvider(inner, health), 3) == refused
    assert len(inner.asked) == 1


@pytest.mark.parametrize("cause", [DENIED, DOWN])
def test_the_refusal_says_until_when_and_why(cause: ProviderError, health: ProviderHealth) -> None:
    for symbol in ("AAPL", "MSFT", "NVDA"):
        health.failed("polygon", symbol, cause)
    told = r"^polygon: not asked before \d\d:\d\d:\d\d UTC"
    with pytest.raises(LeftAloneError, match=told) as caught:
        GuardedProvider(Scripted([]), health).fetch("AAPL", DAY, DAY, priority=100)
    assert str(cause) in str(caught.value)


def test_a_rate_limit_is_no_failure(health: ProviderHealth) -> None:
    inner = Scripted([RateLimitedError("polygon: HTTP 429", 60.0)] * 5)
    fetch(GuardedProvider(inner, health), 5)
    assert len(inner.asked) == 5


def test_a_window_beyond_the_plan_ends_no_cool_down_and_a_recent_one_is_a_refusal(
    health: ProviderHealth,
) -> None:
    beyond = BeyondPlanError("polygon: HTTP 403: not this data timeframe")
    old, recent = DAY, datetime.now(UTC).date() - timedelta(days=3)
    for symbol in ("AAPL", "MSFT", "NVDA"):
        with pytest.raises(BeyondPlanError):
            GuardedProvider(Scripted([beyond]), health).fetch(symbol, recent, recent, priority=100)
    cooling = health.cooling("polygon")
    assert cooling is not None
    assert cooling.is_for_all
    assert cooling.is_of_refusals
    with pytest.raises(BeyondPlanError):
        GuardedProvider(Scripted([beyond]), health, probe=True).fetch(
            "AAPL", old, old, priority=100
        )
    assert health.cooling("polygon") is not None


@pytest.mark.parametrize("error", [BeyondPlanError, NotYetAvailableError])
def test_what_the_plan_does_not_serve_is_an_answer_of_a_healthy_provider(
    error: type[ProviderError], health: ProviderHealth
) -> None:
    inner = Scripted([DOWN, DOWN, error("polygon: no"), DOWN, DOWN])
    fetch(GuardedProvider(inner, health), 5)
    assert len(inner.asked) == 5


def test_one_providers_failures_are_not_anothers(health: ProviderHealth) -> None:
    health.failed("polygon", "AAPL", DENIED)
    assert health.cooling("tradier") is None


def test_another_process_knows_the_cool_down(health: ProviderHealth, database_url: str) -> None:
    health.failed("polygon", "AAPL", DENIED)
    assert ProviderHealth(lambda: psycopg.connect(database_url)).cooling("polygon") is not None


def test_a_cool_down_ends_and_one_more_failure_renews_it(
    health: ProviderHealth, sql: Callable[..., Any]
) -> None:
    inner = Scripted([DOWN, DOWN, DOWN, DOWN])
    provider = GuardedProvider(inner, health)
    fetch(provider, 3)
    sql("update provider_health set cooling_until = clock_timestamp() - interval '1 s'")
    cooling = health.cooling("polygon")
    assert cooling is not None
    assert cooling.seconds == 0
    fetch(provider, 2)
    assert len(inner.asked) == 4


def test_a_probe_lets_one_request_through_and_its_answer_ends_the_cool_down(
    health: ProviderHealth,
) -> None:
    health.failed("polygon", "AAPL", DENIED)
    inner = Scripted([GOOD, GOOD])
    assert fetch(GuardedProvider(inner, health, probe=True), 2) == [Answer, Answer]
    assert health.cooling("polygon") is None


def test_a_probe_that_fails_renews_the_cool_down_and_is_the_only_one(
    health: ProviderHealth, sql: Callable[..., Any]
) -> None:
    health.failed("polygon", "AAPL", DENIED)
    sql("update provider_health set failing_since = clock_timestamp() - interval '1 hour'")
    inner = Scripted([DOWN])
    outcomes = fetch(GuardedProvider(inner, health, probe=True), 3)
    assert outcomes == [UnavailableError, LeftAloneError, LeftAloneError]
    assert len(inner.asked) == 1
    cooling = health.cooling("polygon")
    assert cooling is not None
    assert cooling.seconds > 290


def test_a_probe_waits_for_a_cool_down(health: ProviderHealth) -> None:
    """Asking a healthy provider uses it up in vain otherwise."""
    inner = Scripted([GOOD, DENIED, DENIED, GOOD])
    outcomes = fetch(GuardedProvider(inner, health, probe=True), 4)
    assert outcomes == [Answer, KeyRefusedError, KeyRefusedError, LeftAloneError]
    assert len(inner.asked) == 3


def test_a_fault_of_our_own_is_not_the_providers(health: ProviderHealth) -> None:
    for _ in range(4):
        with pytest.raises(ZeroDivisionError):
            GuardedProvider(Scripted([ZeroDivisionError()]), health).fetch(
                "AAPL", DAY, DAY, priority=100
            )
    assert health.cooling("polygon") is None


def test_a_database_that_is_away_is_a_storage_error() -> None:
    away = ProviderHealth(lambda: psycopg.connect("postgresql://127.0.0.1:1/x"))
    with pytest.raises(StorageError, match="provider health"):
        away.cooling("polygon")
