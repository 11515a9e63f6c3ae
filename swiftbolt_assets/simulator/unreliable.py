"""What an unreliable Polygon delivers late, wrong or not at all, on the market clock.

A plan is three lists. Stretches are half open, `[from, to)`, instants in ISO 8601 with a zone;
`symbols` is a list, or null for all.

lapses
    minutes of `[from, to)` are left out of every answer before `until` (null: of all answers).
corrections
    minutes of `[from, to)` come with other values before `until` (null: always): prices up to the
    share `prices` off, volume up to the share `volume`, highs multiplied by `high`.
hours
    in `[from, to)` every request for aggregates meets `kind`: 400, 403, 429 (without Retry-After),
    500, 502, drop, or empty (status 200, no bars).

Wrong values depend on the plan's seed, the symbol and the minute alone. Tradier stays right. What
belongs here: the plan, and minute bars as they are delivered. What does not: faults by chance
(`faults.py`), the last word, which is `truth.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.simulator.calendar import MINUTE_MS, from_ms, midnight_ms, to_ms
from swiftbolt_assets.simulator.listings import number_of
from swiftbolt_assets.simulator.prices import Bars

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR_KINDS = ("400", "403", "429", "500", "502", "drop", "empty")
#: When every lapse is over and everything is put right, but for what never is.
LAST_WORD = datetime.max.replace(tzinfo=UTC)

_LONGEST_DAY = 25 * 60
_PARTS: dict[str, dict[str, float]] = {
    "lapses": {},
    "corrections": {"prices": 0.01, "volume": 0.5, "high": 1.0},
    "hours": {},
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when to when, and whose; `symbols` None is everybody."""

    starts: datetime
    ends: datetime
    symbols: frozenset[str] | None = None

    def concerns(self, symbol: str) -> bool:
        """Return whether a symbol is meant."""
        return self.symbols is None or symbol in self.symbols

    def holds(self, stamps: np.ndarray[Any, np.dtype[np.int64]]) -> Any:  # noqa: ANN401 - a mask
        """Return which minutes lie inside."""
        return (stamps >= to_ms(self.starts)) & (stamps < to_ms(self.ends))


@dataclass(frozen=True, slots=True)
class Lapse(Stretch):
    """Minutes that are delivered from `until` on; None: never."""

    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Correction(Lapse):
    """Minutes with other values until then: shares of prices and volume, a factor of highs."""

    prices: float = 0.01
    volume: float = 0.5
    high: float = 1.0


@dataclass(frozen=True, slots=True)
class Hour(Stretch):
    """A time in which requests for aggregates meet a kind of `HOUR_KINDS`."""

    kind: str = "500"


@dataclass(frozen=True, slots=True)
class Unreliable:
    """All that is late, wrong or refused; `seed` is that of the wrong values."""

    seed: int = 1
    lapses: tuple[Lapse, ...] = ()
    corrections: tuple[Correction, ...] = ()
    hours: tuple[Hour, ...] = ()


class Delivery:
    """Minute bars as they are delivered at an instant; the plan may be switched."""

    def __init__(self, plan: Unreliable | None = None) -> None:
        self.plan = plan or Unreliable()

    def of(self, bars: Bars, symbol: str, at: datetime) -> Bars:
        """Return what an answer at an instant holds of a day's bars."""
        if not len(bars):
            return bars
        for correction in _pending(self.plan.corrections, symbol, at):
            inside = correction.holds(bars.t)
            if inside.any():
                bars = _wrong(bars, inside, correction, self.plan.seed, symbol)
        for lapse in _pending(self.plan.lapses, symbol, at):
            bars = bars.take(~lapse.holds(bars.t))
        return bars

    def trouble(self, symbol: str, at: datetime) -> str | None:
        """Return the kind that a request for a symbol meets, None in a good hour."""
        for hour in self.plan.hours:
            if hour.concerns(symbol) and hour.starts <= at < hour.ends:
                return hour.kind
        return None


def _pending(stretches: Sequence[Any], symbol: str, at: datetime) -> list[Any]:
    return [
        one for one in stretches if one.concerns(symbol) and (one.until is None or at < one.until)
    ]


def _wrong(bars: Bars, inside: Any, how: Correction, seed: int, symbol: str) -> Bars:  # noqa: ANN401
    """Return a day's bars with other values inside a stretch; low <= open, close <= high stays."""
    midnight = midnight_ms(from_ms(int(bars.t[0])).date())
    draw = np.random.Generator(np.random.PCG64([seed % 2**64, number_of(symbol), midnight]))
    minute = (bars.t - midnight) // MINUTE_MS
    price, volume = (
        np.where(inside, 1 + share * draw.uniform(-1, 1, _LONGEST_DAY)[minute], 1.0)
        for share in (how.prices, how.volume)
    )
    o, h, low, c, vw = (
        np.round(values * price, 4) for values in (bars.o, bars.h, bars.l, bars.c, bars.vw)
    )
    h = np.where(inside, np.round(h * how.high, 4), h)
    v = np.where(inside, np.maximum(1.0, np.floor(bars.v * volume)), bars.v)
    return Bars(bars.t, o, h, low, c, v, vw, bars.n)


def parse_unreliable(value: object) -> Unreliable:
    """Return the plan that a JSON object describes.

    Raises:
        UsageError: a key is unknown or its value impossible; the message names it.

    """
    if not isinstance(value, Mapping):
        raise UsageError("unreliable: the body is no JSON object; send one such as {}")
    for key in value:
        if key not in {"seed", *_PARTS}:
            raise UsageError(f"{key}: it is no part; use seed, {', '.join(_PARTS)}")
    seed = value.get("seed", 1)
    if not isinstance(seed, int):
        raise UsageError(f"seed: {seed!r} is no whole number")
    lapses, corrections, hours = (_entries(value.get(part, []), part) for part in _PARTS)
    return Unreliable(
        seed,
        tuple(Lapse(**one) for one in lapses),
        tuple(Correction(**one) for one in corrections),
        tuple(Hour(**one) for one in hours),
    )


def unreliable_json(plan: Unreliable) -> dict[str, object]:
    """Return a plan as the JSON object that describes it."""
    return {
        "seed": plan.seed,
        **{part: [_shown(one, part) for one in getattr(plan, part)] for part in _PARTS},
    }


def _keys(part: str) -> tuple[str, ...]:
    return ("from", "to", "symbols", "kind" if part == "hours" else "until", *_PARTS[part])


def _shown(one: Lapse | Hour, part: str) -> dict[str, object]:
    fields = {"from": "starts", "to": "ends"}
    return {key: _plain(getattr(one, fields.get(key, key))) for key in _keys(part)}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return sorted(value) if isinstance(value, frozenset) else value


def _entries(listed: object, part: str) -> list[dict[str, Any]]:
    """Return the keyword arguments of each entry of a part."""
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise UsageError(f"{part}: it is no list of objects")
    return [_entry(one, part) for one in listed]


def _entry(entry: Mapping[str, Any], part: str) -> dict[str, Any]:
    for key in entry:
        if key not in _keys(part):
            raise UsageError(f"{part}: {key} is unknown; use {', '.join(_keys(part))}")
    symbols = entry.get("symbols")
    if symbols is not None and not (
        isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols)
    ):
        raise UsageError(f"{part}: symbols: {symbols!r} is no list of tickers; null is all")
    found: dict[str, Any] = {
        "starts": instant(entry.get("from"), f"{part}: from"),
        "ends": instant(entry.get("to"), f"{part}: to"),
        "symbols": None if symbols is None else frozenset(symbols),
    }
    if part == "hours":
        if entry.get("kind") not in HOUR_KINDS:
            raise UsageError(f"{part}: kind: it is unknown; use {', '.join(HOUR_KINDS)}")
        return {**found, "kind": entry["kind"]}
    until = entry.get("until")
    found["until"] = None if until is None else instant(until, f"{part}: until")
    for key in _PARTS[part].keys() & entry.keys():
        if not isinstance(entry[key], int | float) or not 0 <= entry[key] < 1e6:  # noqa: PLR2004
            raise UsageError(f"{part}: {key}: {entry[key]!r} is not possible")
        found[key] = float(entry[key])
    return found


def instant(text: object, name: str) -> datetime:
    """Return an aware instant.

    Raises:
        UsageError: it is none; the message begins with `name`.

    """
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise UsageError(f"{name}: it is no instant; write 2026-11-20T14:30:00Z")
    return found
