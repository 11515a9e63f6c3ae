"""What a reply says of sessions that are stored, held against what is stored.

A provider corrects some bars of a session, restates all of them by little, or adds late trades. A
session most of whose bars come with prices more than a twentieth off, with less than half or more
than twice the volume, or with the values of another time is something else: either the reply is
wrong as a whole, or what is stored is. Until it comes again nobody knows which, so what stands
stays. A session of which nothing is stored is believed as the nearest one of which something is.

Raw prices do not change when a split is listed, so no split excuses a difference.

What cannot be told: a session of few bars, unless the reply's others tell; and what no stored
session overlaps or equals.

What belongs here: this comparison. What does not: what a reply shows by itself (`trust.py`), what
is far from its neighbours (`outliers.py`), and asking again (`swiftbolt_assets/filling/filler.py`).
"""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from swiftbolt_assets.market.bars import BAR_SCHEMA
from swiftbolt_assets.market.by_session import of_sessions
from swiftbolt_assets.market.doubt import SUSPECT_LADDER, next_ask
from swiftbolt_assets.market.outliers import FAR_FROM_NEIGHBOURS
from swiftbolt_assets.market.resample import session_bounds, starts_us
from swiftbolt_assets.market.validation import REJECT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, datetime

    from numpy.typing import NDArray

    from swiftbolt_assets.market.coverage import SessionCoverage
    from swiftbolt_assets.market.sessions import Session

    Flags = NDArray[np.bool_]
    Numbers = NDArray[np.int64]

#: The rule of a delivered bar that waits until it comes again, and of one that came again.
CONTRADICTS_STORED = "contradicts_stored"
#: The rules of bars that were delivered and are not believed until they come again.
WAITING = (FAR_FROM_NEIGHBOURS, CONTRADICTS_STORED)
#: The rule of a stored bar that a later reply has otherwise.
CONTRADICTED = "contradicted"
_PRICES = ("open", "high", "low", "close")
_VALUES = (*_PRICES, "volume")
#: What two bars of one time have in common when they are the same.
SAME = ("ts", *_VALUES)

#: A bar is another one from here on.
_PRICE, _VOLUME = log(1.05), log(2.0)
#: Ten ticks of the cheapest shares are not.
_TICKS = 10 * 0.0001
#: More than this share of a session's bars must be, of so many at least.
_MOST, _FEWEST = 0.5, 8
#: So many bars with the values of one other time are no chance.
_ALIKE = 4


def contradicting(
    fresh: pl.DataFrame, stored: pl.DataFrame, sessions: Sequence[Session]
) -> dict[date, str]:
    """Return the sessions whose delivered bars are not to be believed yet, with the reason.

    Args:
        fresh: validated bars of one reply (`BAR_SCHEMA`), ascending, of regular hours of sessions.
        stored: those known before, likewise; of these sessions and of others near them.
        sessions: those that the reply speaks of, ascending.

    """
    if fresh.is_empty() or stored.is_empty():
        return {}
    opens, _ = session_bounds(sessions)
    both = fresh.join(stored, on="ts", how="inner", suffix="_stored", maintain_order="left")
    found: dict[int, str] = {}
    is_compared = np.zeros(len(sessions), np.bool_)
    if not both.is_empty():
        place = np.searchsorted(opens, starts_us(both), side="right") - 1
        is_compared[place] = True
        found = _other_values(both, place, len(sessions))
    different = fresh.join(stored, on=SAME, how="anti", maintain_order="left")
    if different.height >= _ALIKE:
        found = _of_another_time(different, fresh, stored, opens) | found
    if not found:
        return {}
    compared = np.flatnonzero(is_compared)
    for at in range(len(sessions)):
        if at not in found and not is_compared[at] and len(compared):
            nearest = int(compared[np.abs(compared - at).argmin()])
            if nearest in found:
                found[at] = found[nearest]
    return {sessions[at].day: why for at, why in sorted(found.items())}


def as_suspects(
    fresh: pl.DataFrame,
    stored: pl.DataFrame,
    sessions: Sequence[Session],
    reasons: dict[date, str],
) -> pl.DataFrame:
    """Return the delivered bars that wait until they come again, as `REJECT_SCHEMA`, ascending.

    Args:
        fresh: as for `contradicting`.
        stored: likewise.
        sessions: those of which something is to be stored, ascending.
        reasons: what `contradicting` found.

    """
    new = of_sessions(fresh, sessions).join(stored, on=SAME, how="anti", maintain_order="left")
    if new.is_empty():
        return pl.DataFrame(schema=REJECT_SCHEMA)
    opens, _ = session_bounds(sessions)
    place = np.searchsorted(opens, starts_us(new), side="right") - 1
    told = [reasons.get(sessions[at].day) for at in place.tolist()]
    return (
        new.with_columns(value=pl.Series(told, dtype=pl.String))
        .filter(pl.col("value").is_not_null())
        .select(
            "ts",
            rule=pl.lit(CONTRADICTS_STORED),
            value="value",
            bar=pl.struct(*BAR_SCHEMA).struct.json_encode(),
        )
    )


def contested(row: SessionCoverage, slots: Collection[datetime], now: datetime) -> SessionCoverage:
    """Return a settled session's coverage after an answer that contradicts its stored bars.

    What was known of it stays, and it is asked for again.

    Args:
        row: what the ledger knows.
        slots: starts of the stored bars that the answer has otherwise.
        now: when it came, on the market clock.

    """
    is_new = CONTRADICTED not in row.marks.values()
    since = now if is_new or row.doubted_at is None else row.doubted_at
    return replace(
        row,
        answers=row.answers + 1,
        again_at=next_ask(since, now, SUSPECT_LADDER),
        doubted_at=since,
        marks={**row.marks, **dict.fromkeys(slots, CONTRADICTED)},
    )


def _other_values(both: pl.DataFrame, place: Numbers, sessions: int) -> dict[int, str]:
    """Return where most bars have other prices or volumes than the stored ones of their time."""
    prices = np.zeros(both.height)
    with np.errstate(divide="ignore", invalid="ignore"):
        for name in _PRICES:
            ours, theirs = both[f"{name}_stored"].to_numpy(), both[name].to_numpy()
            off = np.abs(np.log(theirs / ours))
            np.maximum(prices, np.where(np.abs(theirs - ours) > _TICKS, off, 0.0), out=prices)
        volumes = np.log(
            np.maximum(both["volume"].to_numpy(), 1.0)
            / np.maximum(both["volume_stored"].to_numpy(), 1.0)
        )
        ratio = both["close"].to_numpy() / both["close_stored"].to_numpy()
    kinds = (
        ("prices", prices > _PRICE, ratio),
        ("volumes", np.abs(volumes) > _VOLUME, np.exp(volumes)),
    )
    counts = np.bincount(place, minlength=sessions)
    found: dict[int, str] = {}
    for name, is_off, factor in kinds:
        if not is_off.any():
            continue
        off = np.bincount(place, is_off, sessions)
        whole = len(place) >= _FEWEST and is_off.mean() > _MOST
        for at in np.flatnonzero(counts).tolist():
            few = counts[at] < _FEWEST
            if whole if few else off[at] > _MOST * counts[at]:
                own = slice(None) if few else place == at
                told = f"{float(np.median(factor[own])):.4g} times the stored ones at the median"
                found.setdefault(at, f"most {name} differ, {told}")
    return found


def _of_another_time(
    different: pl.DataFrame, fresh: pl.DataFrame, stored: pl.DataFrame, opens: Numbers
) -> dict[int, str]:
    """Return where most bars have the values that are stored at one other distance in time."""
    # Prices and volume that occur once tell where they come from.
    once = stored.filter(pl.struct(_VALUES).is_unique())
    moved = different.join(once, on=_VALUES, how="inner", suffix="_stored", maintain_order="left")
    if moved.height < _ALIKE:
        return {}
    place = np.searchsorted(opens, starts_us(moved), side="right") - 1
    shift = starts_us(moved) - moved["ts_stored"].dt.epoch("us").to_numpy()
    counts = np.bincount(
        np.searchsorted(opens, starts_us(fresh), side="right") - 1, minlength=len(opens)
    )
    found = {}
    for at in np.unique(place).tolist():
        shifts, times = np.unique(shift[place == at], return_counts=True)
        most = int(times.argmax())
        # Volumes that are all alike tell nothing.
        volumes = moved["volume"].filter(pl.Series((place == at) & (shift == shifts[most])))
        if volumes.n_unique() >= max(_ALIKE, _MOST * counts[at]):
            hours = shifts[most] / 3.6e9
            found[at] = (
                f"{times[most]} of its {counts[at]} bars are stored {abs(hours):g} h "
                f"{'earlier' if hours > 0 else 'later'}"
            )
    return found
