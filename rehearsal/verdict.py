"""What days have left behind, held against the provider's last word.

What belongs here: differences, named. What does not: which of them matter (who asks).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.certificate import BAR

if TYPE_CHECKING:
    from datetime import date

    from rehearsal.days import Days
    from swiftbolt_assets.market.sessions import Session

#: What a certificate may say of a quarter hour that has a bar after all.
UNPROVEN = frozenset({"unconfirmed", "rejected", "delisted"})
_CLOSE_ENOUGH = 1e-9
_STORED = """
select ts, open, high, low, close, volume, vwap, trade_count
  from ohlc_bars_v2 b join symbols s on s.id = b.symbol_id
 where s.ticker = %s and timeframe = %s::timeframe and not is_forecast and ts >= %s and ts < %s
 order by ts, b.provider
"""
_OPEN = """
select s.ticker, m.day, coalesce(c.state, 'unknown') from symbols s
 cross join market_sessions m
  left join session_coverage c on c.symbol_id = s.id and c.day = m.day
 where s.ticker = any(%s) and m.day between %s and %s and c.state is distinct from 'final'
 order by 1, 2
"""


@dataclass(frozen=True)
class Verdict:
    """What is not as it should be, one line each; all empty when all is well.

    Attributes:
        bars: that differ from the last word, are missing or too many.
        sessions: that are not settled.
        claims: of certificates, that were not so.

    """

    bars: list[str]
    sessions: list[str]
    claims: list[str]


def judge(days: Days) -> Verdict:
    """Hold the past sessions of all days against the last word; the simulator must be running."""
    sessions = days.scenario.sessions(days.scenario.days - 1)
    first, last = sessions[0], sessions[-1]
    bars: list[str] = []
    claims: list[str] = []
    for symbol in days.scenario.symbols:
        for timeframe in Timeframe:
            bars += _differences(days, symbol, timeframe, first, last)
        claims += _untrue(days, symbol)
    unsettled = days.rows(_OPEN, list(days.scenario.symbols), first.day, last.day)
    return Verdict(bars, [f"{symbol} {day} is {state}" for symbol, day, state in unsettled], claims)


def _differences(
    days: Days, symbol: str, timeframe: Timeframe, first: Session, last: Session
) -> list[str]:
    stored = days.rows(_STORED, symbol, str(timeframe), first.opens, last.closes)
    right = {
        datetime.fromisoformat(bar["ts"]): _values(bar)
        for bar in _truth(days, symbol, timeframe, first.day, last.day)
    }
    found = [
        f"{symbol} {timeframe} {ts.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} is {values}, "
        f"not {right.get(ts)}"
        for ts, *values in stored
        if not _same(values, right.get(ts))
    ]
    missing = sorted(right.keys() - {row[0] for row in stored})
    return found + [f"{symbol} {timeframe} {ts:%Y-%m-%dT%H:%M:%SZ} is missing" for ts in missing]


def _untrue(days: Days, symbol: str) -> list[str]:
    """Return what certificates said of a symbol's quarter hours that the last word contradicts."""
    claimed = {day: said for (whose, day), said in days.claims.items() if whose == symbol}
    if not claimed:
        return []
    right = {
        datetime.fromisoformat(bar["ts"])
        for bar in _truth(days, symbol, Timeframe.M15, min(claimed), max(claimed))
    }
    found = []
    for day, said in claimed.items():
        session = xnys().session(day)
        starts = session.slot_starts() if session else []
        for one in said:
            wrong: dict[str, int] = {}
            for slot, letter in zip(starts, one.slots, strict=True):
                reason = one.letters.get(letter, letter)
                if reason not in UNPROVEN and (letter == BAR) != (slot in right):
                    wrong[reason] = wrong.get(reason, 0) + 1
            if wrong:
                told = ", ".join(f"{count} {reason}" for reason, count in wrong.items())
                found.append(f"{symbol} {day}, certified {one.at:%Y-%m-%d %H:%M}: {told}")
    return found


def _truth(
    days: Days, symbol: str, timeframe: Timeframe, first: date, last: date
) -> list[dict[str, Any]]:
    path = f"/simulator/truth/{quote(symbol)}/{timeframe}?from={first}&to={last}"
    bars: list[dict[str, Any]] = days.call(path)
    return bars


def _values(bar: dict[str, Any]) -> list[Any]:
    return [bar[name] for name in ("open", "high", "low", "close", "volume", "vwap", "n")]


def _same(stored: list[Any], right: list[Any] | None) -> bool:
    if right is None or stored[:4] != right[:4] or stored[6] != right[6]:
        return False
    return all(
        ours == theirs or (ours and theirs and abs(ours - theirs) <= _CLOSE_ENOUGH * abs(theirs))
        for ours, theirs in zip(stored[4:6], right[4:6], strict=True)
    )
