"""Who gets nothing while others do, and which share of failures is unusual."""

from __future__ import annotations

import pytest

from swiftbolt_assets.policy.trouble import Attempts, Share, troubles


@pytest.mark.parametrize(
    ("failed", "refused", "others", "told"),
    [
        (1, 0, True, False),
        (2, 0, True, True),
        (1, 1, True, True),
        (9, 9, False, False),
        (0, 0, True, False),
    ],
)
def test_a_symbol_gets_nothing_after_two_failures_or_one_refusal_while_others_are_answered(
    failed: int, refused: int, *, others: bool, told: bool
) -> None:
    found = troubles([Attempts("TYPO", failed, refused, others, "polygon: no")], [])
    assert [one.symbol for one in found] == (["TYPO"] if told else [])
    assert [one.text for one in found] == (
        ["TYPO gets nothing while others do: polygon: no"] if told else []
    )


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (Share("polygon", 4, 4, 0, 0), False),
        (Share("polygon", 5, 5, 0, 0), True),
        (Share("polygon", 60, 6, 1000, 0), False),
        (Share("polygon", 60, 7, 1000, 0), True),
        (Share("polygon", 60, 29, 1000, 200), False),
        (Share("polygon", 60, 31, 1000, 200), True),
        (Share("tradier", 0, 0, 10, 10), False),
    ],
)
def test_a_share_of_failures_is_told_above_twice_the_usual_one_and_a_tenth(
    share: Share, *, told: bool
) -> None:
    assert [one.symbol for one in troubles([], [share])] == ([None] if told else [])


def test_providers_come_first_then_symbols_by_name() -> None:
    attempts = [
        Attempts(name, 2, 0, others_answered=True, message="no") for name in ("MSFT", "AAPL")
    ]
    found = troubles(attempts, [Share("polygon", 9, 9, 0, 0)])
    assert [one.symbol for one in found] == [None, "AAPL", "MSFT"]
