"""What is wrong with the answers of providers: who gets nothing while others do, and bad shares.

What belongs here: the one decision, for all who tell of it. What does not: counting requests
(`resources/providers/trouble.py`), saying it (`/health`, `doctor`, `status`, the chart).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Fewer failures are chance.
_LEAST_FAILED = 5
#: A share is unusual above twice the usual one and a tenth.
_TIMES, _MARGIN = 2.0, 0.1
_FAILURES = 2


@dataclass(frozen=True, slots=True)
class Attempts:
    """A symbol's requests since its last answer.

    Attributes:
        symbol: canonical ticker.
        failed: how many failed; rate limits are not counted.
        refused: how many of them were refused for good by the provider's word.
        others_answered: whether another symbol was answered meanwhile.
        message: why the last one failed.

    """

    symbol: str
    failed: int
    refused: int
    others_answered: bool
    message: str


@dataclass(frozen=True, slots=True)
class Share:
    """How many of a provider's requests failed.

    Attributes:
        provider: its name.
        sent, failed: in the last minutes.
        usually_sent, usually_failed: in the day before.

    """

    provider: str
    sent: int
    failed: int
    usually_sent: int
    usually_failed: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is not as it should be.

    Attributes:
        symbol: whose, None for a provider's.
        text: one sentence.

    """

    symbol: str | None
    text: str


def troubles(attempts: Sequence[Attempts], shares: Sequence[Share]) -> list[Trouble]:
    """Return what is wrong: providers first, then symbols by name."""
    found = [
        Trouble(
            None,
            f"{share.provider}: {share.failed} of {share.sent} requests of the last minutes failed",
        )
        for share in shares
        if _is_unusual(share)
    ]
    found += [
        Trouble(one.symbol, f"{one.symbol} gets nothing while others do: {one.message}")
        for one in sorted(attempts, key=lambda one: one.symbol)
        if one.others_answered and (one.failed >= _FAILURES or one.refused)
    ]
    return found


def _is_unusual(share: Share) -> bool:
    usual = share.usually_failed / share.usually_sent if share.usually_sent else 0.0
    return share.failed >= _LEAST_FAILED and share.failed > (_TIMES * usual + _MARGIN) * share.sent
