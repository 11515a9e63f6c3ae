"""How much a session adds to the bars' database: what `doctor` holds its growth against.

Bytes are those of a row with its share of pages and indexes, B-trees filled to some 70 %, measured
with Postgres 15 to 18. What passes is left out: today's bars give their room to the
next day's, requests and finished slices go after the days that retention keeps them.
"""

from __future__ import annotations

#: 26 of 15 minutes, 7 of an hour, 2 of four.
BARS_A_SESSION = 35
_BAR = 250
#: A row of session_coverage, one of finalizations.
_LEDGER = 360
#: Three rows of job_runs, one of provider_requests; they go once they are old.
_ASKED = 2_500


def bytes_a_session(symbols: int, *, until_pruned: bool) -> int:
    """Return the bytes that a full session of some symbols adds.

    Args:
        symbols: that are tracked.
        until_pruned: whether nothing is old enough to go yet: an installation's first days.

    """
    kept = BARS_A_SESSION * _BAR + _LEDGER
    return symbols * (kept + (_ASKED if until_pruned else 0))
