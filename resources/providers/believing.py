"""Whether an answer is believed as a whole: what is not is a failure of the provider.

What belongs here: this one question about an `Answer`. What does not: how it is decided
(`market/trust.py`, `market/validation.py`), and what its bars show beside stored ones
(`swiftbolt_assets/filling/evidence.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from swiftbolt_assets.clock import midnight
from swiftbolt_assets.errors import MalformedReplyError
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.trust import distrust
from swiftbolt_assets.market.validation import Verdict, mostly_rejected, validate

if TYPE_CHECKING:
    from resources.providers.contract import Answer


def believed(answer: Answer) -> Verdict:
    """Return an answer's bars, good and bad.

    It is held against the calendar on board: a day that was announced as closed may have bars, or
    one that was announced by mistake would have every answer refused.

    Raises:
        MalformedReplyError: the answer as a whole cannot be trusted.

    """
    spanned = xnys().between(answer.first, answer.last)
    if why := distrust(answer.bars, spanned):
        raise MalformedReplyError(f"{answer.provider}: {why}")
    verdict = validate(
        answer.bars, midnight(answer.first), midnight(answer.last + timedelta(days=1))
    )
    if why := mostly_rejected(answer.bars.height, verdict.rejects):
        raise MalformedReplyError(f"{answer.provider}: {why}")
    return verdict
