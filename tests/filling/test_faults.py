"""Under faults the final table is exact, and every rejected bar is accounted for."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING

import pytest

from swiftbolt_assets.errors import MalformedReplyError, ProviderError, UnavailableError
from swiftbolt_assets.market.coverage import State
from swiftbolt_assets.simulator.faults import BAR_PAGE, KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.filling.conftest import Desk, Simulator

#: 100 sessions: two requests, with a clock change among them.
FIRST, LAST = date(2026, 6, 30), date(2026, 11, 19)
#: One spoilt reply of these kinds costs one bar and no more.
ONE_BAR = {
    "duplicate": "duplicate",
    "foreign_date": "out_of_order",
    "nan": "open_missing",
    "negative": "price_not_positive",
    "string_price": "close_missing",
    "misaligned": "misaligned",
}
#: A run that met one of these may end; the next one goes on.
MOST_RUNS = 12


def fill_until_done(one: Desk) -> list[str]:
    """Run until nothing is open, as a person would; return the failed runs' reasons."""
    reasons: list[str] = []
    for _ in range(MOST_RUNS):
        try:
            one.fill(FIRST, LAST)
        except ProviderError as error:
            reasons.append(str(error))
            one.cool_down_is_over()
        else:
            return reasons
    raise AssertionError(f"{MOST_RUNS} runs were not enough: {reasons}")


def assert_rejects_accounted(one: Desk, simulator: Simulator) -> None:
    spoilt = Counter(request["fault"] for request in simulator.requests())
    expected = sum(spoilt[kind] for kind in ONE_BAR)
    rules = one.rejects()
    assert len(rules) == expected, (spoilt, rules)
    assert set(rules) <= {*ONE_BAR.values(), "outside_window"}


@pytest.mark.parametrize(
    ("kind", "symbol"),
    [*((kind, "AAPL") for kind in KINDS), *((kind, "THIN") for kind in BAR_PAGE)],
)
def test_a_fault_that_passes_leaves_no_trace_in_the_table(
    desk: Callable[..., Desk],
    simulator: Simulator,
    kind: str,
    symbol: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind in {"lost_next_url", "next_url_loop"}:
        # Only a window that is planned too wide has a next page.
        monkeypatch.setattr("swiftbolt_assets.policy.request_windows.GUARANTEED_SESSIONS", 90)
    one = desk(symbol)
    simulator.faults(kinds=[kind], times=2, seconds=0.01, provider="polygon")
    reasons = fill_until_done(one)
    one.assert_exact(FIRST, LAST)
    assert_rejects_accounted(one, simulator)
    assert "\n" not in "".join(reasons)
    assert (reasons != []) == (kind == "not_authorized_200"), reasons
    assert len(simulator.requests()) <= 10


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_all_faults_together_leave_no_trace_in_the_table(
    desk: Callable[..., Desk], simulator: Simulator, seed: int
) -> None:
    one = desk("AAPL" if seed % 2 else "THIN")
    simulator.faults(rate=0.3, seed=seed, seconds=0.01, provider="polygon")
    fill_until_done(one)
    one.assert_exact(FIRST, LAST)
    assert_rejects_accounted(one, simulator)
    assert len(simulator.requests()) <= 40


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_answers_of_a_bad_bar_each_settle_within_bounds(
    desk: Callable[..., Desk], simulator: Simulator, seed: int
) -> None:
    one = desk("THIN" if seed % 2 else "AAPL")
    simulator.faults(rate=0.7, seed=seed, kinds=[*ONE_BAR, "disorder", "empty"])
    fill_until_done(one)
    one.assert_exact(FIRST, LAST)
    assert_rejects_accounted(one, simulator)
    assert len(simulator.requests()) <= 20


@pytest.mark.parametrize(
    ("kind", "error", "most"),
    [
        ("500", UnavailableError, 8),
        ("502", UnavailableError, 8),
        ("drop", UnavailableError, 8),
        ("truncate", MalformedReplyError, 8),
        ("html200", MalformedReplyError, 8),
        ("null_page", MalformedReplyError, 8),
        ("wrong_ticker", MalformedReplyError, 8),
        ("unadjusted_flag", MalformedReplyError, 8),
        ("429", ProviderError, 10),
        ("not_authorized_200", ProviderError, 1),
    ],
)
def test_a_fault_that_stays_ends_in_one_clear_line_after_few_requests(
    desk: Callable[..., Desk], simulator: Simulator, kind: str, error: type[Exception], most: int
) -> None:
    one = desk()
    simulator.faults(kinds=[kind])
    with pytest.raises(error, match=r"^polygon: ") as caught:
        one.fill(FIRST, LAST)
    assert "\n" not in str(caught.value)
    assert len(simulator.requests()) <= most
    assert one.coverage(FIRST, LAST) == {}


@pytest.mark.parametrize("kind", ["lost_next_url", "next_url_loop"])
def test_an_answer_that_always_breaks_off_keeps_the_sessions_before_the_break(
    desk: Callable[..., Desk], simulator: Simulator, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swiftbolt_assets.policy.request_windows.GUARANTEED_SESSIONS", 90)
    one = desk()
    simulator.faults(kinds=[kind])
    one.fill(FIRST, LAST)
    one.assert_exact(FIRST, LAST)
    assert len(simulator.requests()) <= 10


def test_an_answer_without_bars_is_not_believed_where_bars_are_known(
    desk: Callable[..., Desk], simulator: Simulator
) -> None:
    one = desk()
    known = date(2026, 11, 18)
    one.fill(known, known)
    simulator.faults(kinds=["empty"])
    simulator.forget_requests()
    with pytest.raises(MalformedReplyError, match="without a bar of AAPL"):
        one.fill(FIRST, LAST)
    assert len(simulator.requests()) <= 8
    assert {row.state for day, row in one.coverage(FIRST, LAST).items() if day != known} <= {
        State.OPEN
    }
    simulator.healthy()
    one.fill(FIRST, LAST)
    one.assert_exact(FIRST, LAST)


def test_force_never_takes_an_empty_answer_for_the_truth(
    desk: Callable[..., Desk], simulator: Simulator
) -> None:
    one = desk()
    one.fill(FIRST, LAST)
    before = one.coverage(FIRST, LAST)
    simulator.faults(kinds=["empty"])
    with pytest.raises(MalformedReplyError, match="try again later"):
        one.fill(FIRST, LAST, force=True)
    assert one.coverage(FIRST, LAST) == before
    one.assert_exact(FIRST, LAST)
