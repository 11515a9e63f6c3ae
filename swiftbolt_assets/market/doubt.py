"""Whether an absence is likely for this symbol, and what ends the doubt about one that is not.

A provider leaves out the quarter hours without an eligible trade and does not say why; one that has
lost bars looks the same. How often the symbol is silent does tell: of its sessions around, how many
lack this quarter hour, or a stretch as long. Trade counts tell less: thin symbols trade in bursts.

An unlikely absence is in doubt until evidence comes that does not rest on the same answer:

- other symbols traded meanwhile, and this one did again later that session: it was halted;
- another provider that knows the session has no bar there, either: no trade, or a halt if other
  symbols traded. If it has one as large as this symbol's own, the doubt stays; of a smaller one,
  which may be of odd lots, time tells;
- time: the provider was asked again after hours, a day, five and twenty days, and stayed with it.
  Only an answer ends a doubt: days that pass unasked do not, nor does a refusal.

Where the provider itself once delivered a bar, believed or not, nothing was halted. Before the
first bar known there are no sessions around that could tell: those after it do. Others that trade
say nothing there; a listing and a lost beginning look the same until time has passed.

What belongs here: pure judgement over patterns of absent quarter hours, and the times of asking
again. What does not: how many answers must agree before (`coverage.py`), where the evidence comes
from (`resources/bars/witnesses.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from swiftbolt_assets.market.sessions import Session

    Pattern = NDArray[np.bool_]

#: Sessions on each side that tell what is usual.
NEIGHBOURS = 30
#: So many calendar days hold as many, about.
NEIGHBOURS_REACH = timedelta(days=45)
#: Sessions on each side that tell what is rare, and calendar days that hold as many.
HALF_YEAR, HALF_YEAR_REACH = 125, timedelta(days=183)
#: An absence as improbable as this is in doubt whatever the sessions around look like; that of a
#: thin symbol, which has whole days without a trade, needs more or must be alone of its kind.
_CERTAIN, _CERTAIN_IF_THIN, _THIN = log(1e-9), log(1e-18), 0.15
#: One that fewer than one session in a hundred would show is, if it also goes well beyond what all
#: but a few of them show: quiet quarter hours come together.
_RARE, _ALL_BUT_FEW, _WELL_BEYOND = log(0.01), 0.95, 1.5
#: How many sessions the symbol's own mean counts for, beside those that tell of one quarter hour.
_PRIOR = 4.0
#: So often must others have been as silent as a thin symbol's session, sessions in a row counted
#: once, until that is its habit; fewer may have been lost together with it.
_HABIT = 3
#: More sessions in a row without a bar than that tell nothing of the others.
SILENT_SESSIONS = 5
#: Part of a halt's quarter hours in which somebody else must have traded.
_MOST_SLOTS = 0.8
#: More silences in one session than that are no halts.
_MOST_HALTS = 3

#: How long after the first doubt one asks again; twenty days without a change end it.
LADDER = (timedelta(hours=4), timedelta(days=1), timedelta(days=5), timedelta(days=20))
#: The provider may just be late with yesterday.
LATE_LADDER = (timedelta(hours=1), timedelta(hours=4), timedelta(hours=12), *LADDER[1:])
#: Years before a listing cost one request a step, and nobody waits for them.
LISTING_LADDER = LADDER[1:]
#: What a plan does not reach is refused a second time, and then asked for at one request a symbol.
PLAN_LADDER, PLAN_AGAIN = LADDER[:1], timedelta(days=28)
#: A price that is hard to believe may just be true: somebody waits for it.
SUSPECT_LADDER = (timedelta(minutes=10), *LADDER)
#: Fewer shares on another provider may have been odd lots, which make no bar of history: fewer than
#: these, and than all but such a share of the symbol's own bars have. A dear one's are small.
ODD_LOTS, SMALL_BARS = 500.0, 0.25
#: Asked so much of a step's time after the first doubt, that step is done; the last one wholly.
_EARLY = 0.75


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What is known of quarter hours from others than the provider that left them out.

    Attributes:
        traded: starts at which other symbols have bars.
        contradicted: starts at which another provider has a bar of this symbol.
        agreed: starts at which another provider that knows the session has none.
        delivered: starts at which the provider itself once had a bar that was not believed.
        small: starts at which another provider has a bar that may be of odd lots alone.

    """

    traded: Collection[datetime] = field(default_factory=frozenset)
    contradicted: Collection[datetime] = field(default_factory=frozenset)
    agreed: Collection[datetime] = field(default_factory=frozenset)
    delivered: Collection[datetime] = field(default_factory=frozenset)
    small: Collection[datetime] = field(default_factory=frozenset)


def pattern(session: Session, missing: Collection[datetime]) -> Pattern:
    """Return for each quarter hour of a session whether it has no bar."""
    return np.array([slot in missing for slot in session.slot_starts()], np.bool_)


def doubted_slots(
    missing: Mapping[Session, Collection[datetime]],
    around: Mapping[Session, Pattern],
    earliest_known: datetime | None,
) -> dict[Session, list[datetime]]:
    """Return the quarter hours whose absence is unlikely, by session.

    Args:
        missing: those without a bar of the sessions to be judged.
        around: the silent ones of all sessions near them that were asked for, ascending, these
            included.
        earliest_known: start of the symbol's earliest bar known, None without any.

    """
    telling = _telling(around)
    found = {}
    for session, slots in missing.items():
        at = bisect_left(telling, session.day, key=lambda s: s.day)
        after = telling[at + (telling[at : at + 1] == [session]) :]
        # Before the first bar only what comes after it tells.
        unlisted = is_before(session, earliest_known)
        after = [s for s in after if not is_before(s, earliest_known)] if unlisted else after
        before = [] if unlisted else telling[:at]
        near, year = (
            [around[s] for s in (*before[-reach:], *after[: reach * (1 + unlisted)])]
            for reach in (NEIGHBOURS, HALF_YEAR)
        )
        flags = unlikely(pattern(session, slots), near, year)
        found[session] = [
            slot for slot, flag in zip(session.slot_starts(), flags, strict=True) if flag
        ]
    return found


def _telling(around: Mapping[Session, Pattern]) -> list[Session]:
    """Leave out long rows of sessions without any bar: one loss, or a listing, hit them all."""
    known = list(around)
    kept = []
    at = 0
    for first, last in runs(np.array([one.all() for one in around.values()], np.bool_)):
        if last - first > SILENT_SESSIONS:
            kept += known[at:first]
            at = last
    return kept + known[at:]


def is_before(session: Session, earliest_known: datetime | None) -> bool:
    """Return whether a session ended before the start of the symbol's earliest bar known."""
    return earliest_known is not None and session.closes <= earliest_known


def unlikely(absent: Pattern, around: Sequence[Pattern], year: Sequence[Pattern] = ()) -> Pattern:
    """Return which absences of a session are unlikely for its symbol.

    Args:
        absent: the session's quarter hours without a bar.
        around: the same of the sessions nearest to it that were asked for, without it.
        year: the same of half a year on both sides: a habit may be rare. Empty for no more.

    """
    found = np.zeros(len(absent), np.bool_)
    telling = [one for one in around if not one.all()]
    if not telling:
        # A symbol that was never seen trading: only its own bars of the day could tell.
        if absent.all():
            return ~found
        around = ()
    usual = _typical(around)
    silent, looked = _counts(usual, len(absent))
    thin = bool(usual) and silent.sum() > _THIN * looked.sum()

    def is_doubtful(weight: float, extent: float, extents: Callable[[Pattern], float]) -> bool:
        """Return whether something so improbable, of such an extent, is not just usual here."""
        if weight >= _RARE:
            return False
        most = _usual_most([extents(one) for one in usual])
        if thin:
            habit = _HABIT if extent > most else 1
            if any(
                len(runs(np.array([extents(one) >= extent for one in others]))) >= habit
                for others in (around, year)
            ):
                return weight < _CERTAIN_IF_THIN
        return weight < _CERTAIN or extent > _WELL_BEYOND * most

    for first, last in runs(absent):
        width = last - first
        others = absent.sum() - width
        mean = (silent.sum() + others + 0.5) / (looked.sum() + len(absent) - width + 1)
        chance = (silent + _PRIOR * mean) / (looked + _PRIOR)
        weight = float(np.log(chance[first:last]).sum()) + log(len(absent))
        if is_doubtful(weight, width, _longest):
            found[first:last] = True
    share = float(absent.mean())
    if usual and is_doubtful(_scattered(share, len(absent), silent, looked), share, _share):
        return absent.copy()
    return found


def _scattered(
    share: float, slots: int, silent: NDArray[np.float64], looked: NDArray[np.float64]
) -> float:
    """Return the logarithm of the chance that so many are silent, wherever (Chernoff's bound)."""
    mean = (silent.sum() + 0.5) / (looked.sum() + 1)
    if share <= mean:
        return 0.0
    rest = (1 - share) * log((1 - share) / (1 - mean)) if share < 1 else 0.0
    return -slots * (share * log(share / mean) + rest)


def _typical(around: Sequence[Pattern]) -> list[Pattern]:
    """Leave out sessions that are odd themselves, a quarter at most: an outage hit them, too."""
    if not around:
        return []
    counts = np.array([one.mean() for one in around])
    most = max(3 * float(np.median(counts)) + 2 / 26, float(np.quantile(counts, 0.75)))
    return [one for one, count in zip(around, counts, strict=True) if count <= most]


def _counts(usual: Sequence[Pattern], width: int) -> tuple[NDArray[np.float64], ...]:
    """Return for each quarter hour from the open: how often it was silent, and looked at."""
    silent, looked = np.zeros(width), np.zeros(width)
    for one in usual:
        reach = min(width, len(one))
        silent[:reach] += one[:reach]
        looked[:reach] += 1
    return silent, looked


def _usual_most(counts: Sequence[float]) -> float:
    """Return what all but a few of some counts do not exceed; few tell as much as their most."""
    return float(np.quantile(counts, _ALL_BUT_FEW, method="higher")) if counts else np.inf


def runs(absent: Pattern) -> list[tuple[int, int]]:
    """Return the stretches of True as `[first, last)`, ascending."""
    edges = np.flatnonzero(np.diff(absent.astype(np.int8), prepend=0, append=0))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _longest(absent: Pattern) -> float:
    return max((last - first for first, last in runs(absent)), default=0)


def _share(absent: Pattern) -> float:
    return float(absent.mean())


@dataclass(frozen=True, slots=True)
class Weighed:
    """What became of quarter hours in doubt.

    Attributes:
        halted: silent while others traded, a few times a session at most.
        no_trade: silent by somebody else's word, or after all that asking.
        open: still in doubt.

    """

    halted: frozenset[datetime]
    no_trade: frozenset[datetime]
    open: frozenset[datetime]


def weigh(
    session: Session,
    bars: Collection[datetime],
    doubted: Collection[datetime],
    elsewhere: Elsewhere,
    *,
    is_over: bool,
) -> Weighed:
    """Return what the evidence makes of a session's quarter hours in doubt.

    Args:
        session: whose they are.
        bars: starts of the session's bars.
        doubted: the quarter hours in doubt.
        elsewhere: what others know of them.
        is_over: whether the provider was asked for long enough.

    """
    slots = session.slot_starts()
    found: dict[str, set[datetime]] = {"halted": set(), "no_trade": set(), "open": set()}
    silences = runs(pattern(session, doubted))
    for first, last in silences:
        run = slots[first:last]
        others = sum(slot in elsewhere.traded for slot in run) >= _MOST_SLOTS * len(run)
        agreed = all(slot in elsewhere.agreed for slot in run)
        traded_again = any(bar < run[0] for bar in bars) and any(bar > run[-1] for bar in bars)
        was_traded = any(slot in elsewhere.delivered or slot in elsewhere.small for slot in run)
        may_be_halt = others and not was_traded and len(silences) <= _MOST_HALTS
        if any(slot in elsewhere.contradicted for slot in run):
            kind = "open"
        elif may_be_halt and (traded_again or agreed or is_over):
            kind = "halted"
        else:
            kind = "no_trade" if agreed or is_over else "open"
        found[kind].update(run)
    return Weighed(**{kind: frozenset(slots) for kind, slots in found.items()})


def traded_from(small: float | None) -> float:
    """Return how many shares of another provider's bar show that history has one, too.

    Args:
        small: shares that all but `SMALL_BARS` of the symbol's own bars have; None without any.

    """
    return ODD_LOTS if small is None else min(ODD_LOTS, small)


def next_ask(
    doubted_at: datetime, now: datetime, ladder: Sequence[timedelta] = LADDER
) -> datetime | None:
    """Return when to ask again, None when all steps are done (market clock)."""
    waited = now - doubted_at
    *steps, last = ladder
    if waited >= last:
        return None
    return doubted_at + next((step for step in steps if waited < _EARLY * step), last)
