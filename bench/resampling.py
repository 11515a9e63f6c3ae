"""15-minute bars to 1-hour and 4-hour ones by session: ours, DuckDB and pandas.

Every way begins with its own native frame of the same bars and ends with its own frame of results;
the results are held against each other before anything is timed. What belongs here: that. What
does not: writing (`ingest.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import polars as pl
from filling import DERIVED
from replies import Recorded, two_years, windows
from results import Group, Line, milliseconds, spread
from timing import Timings, side_by_side, timed

from swiftbolt_assets.market.by_session import of_sessions
from swiftbolt_assets.market.resample import resample

if TYPE_CHECKING:
    from collections.abc import Callable

    from swiftbolt_assets.market.timeframes import Timeframe

SYMBOL = "AAPL"
#: Symbols.
QUICK, FULL = (1, 10), (1, 10, 100)
_TOLERANCE = 1e-9

_DUCKDB = """
select m.symbol, time_bucket(to_minutes({minutes}), m.ts, s.opens) as ts,
  first(open order by m.ts) as open, max(high) as high, min(low) as low,
  last(close order by m.ts) as close, sum(volume) as volume,
  sum(vwap * volume) / nullif(sum(volume) filter (where vwap is not null), 0) as vwap,
  sum(trade_count)::bigint as trade_count
from m15 m asof join sessions s on m.ts >= s.opens
where m.ts < s.closes group by 1, 2
"""


def measure(recorded: Recorded, sizes: tuple[int, ...], repetitions: int) -> list[Group]:
    """Return one group a size, in symbols of two years."""
    sessions = two_years()
    bars = pl.concat(
        [recorded.fetch(SYMBOL, *window, priority=0).bars for window in windows(sessions)[::-1]]
    )
    m15 = of_sessions(bars, sessions).rechunk()
    return [_measure(m15, size, repetitions) for size in sizes]


def _measure(m15: pl.DataFrame, symbols: int, repetitions: int) -> Group:
    ours = _Ours([m15.clone() for _ in range(symbols)])
    # The product's frames are one symbol's; the others get all in one, as suits them.
    together = pl.concat([m15.with_columns(symbol=pl.lit(number)) for number in range(symbols)])
    ways: dict[str, _Ours | _DuckDb | _Pandas] = {
        "swiftbolt": ours,
        "duckdb": _DuckDb(together),
        "pandas": _Pandas(together),
    }
    for timeframe in DERIVED:
        wanted = ours.result(timeframe)
        for name, way in ways.items():
            _compare(name, way.result(timeframe), wanted)

    def timing(way: _Ours | _DuckDb | _Pandas) -> Callable[[], float]:
        return lambda: timed(way.run)

    found = side_by_side({name: timing(way) for name, way in ways.items()}, repetitions)
    return _group(together.height, found)


class _Ours:
    def __init__(self, frames: list[pl.DataFrame]) -> None:
        self._frames = frames
        self._sessions = two_years()

    def run(self) -> None:
        for frame in self._frames:
            for timeframe in DERIVED:
                resample(frame, self._sessions, timeframe)

    def result(self, timeframe: Timeframe) -> pl.DataFrame:
        return pl.concat(
            [
                resample(frame, self._sessions, timeframe).with_columns(
                    pl.col("ts").dt.replace_time_zone(None), symbol=pl.lit(number)
                )
                for number, frame in enumerate(self._frames)
            ]
        )


class _DuckDb:
    def __init__(self, bars: pl.DataFrame) -> None:
        self._connection = duckdb.connect()
        naive = bars.with_columns(pl.col("ts").dt.replace_time_zone(None))
        self._connection.register("given", naive.to_arrow())
        self._connection.execute("create table m15 as select * from given")
        self._connection.register("given_sessions", _sessions().to_arrow())
        self._connection.execute("create table sessions as select * from given_sessions")

    def run(self) -> None:
        for timeframe in DERIVED:
            self.result(timeframe)

    def result(self, timeframe: Timeframe) -> pl.DataFrame:
        found = self._connection.sql(_DUCKDB.format(minutes=timeframe.minutes))
        frame = pl.from_arrow(found.to_arrow_table())
        assert isinstance(frame, pl.DataFrame)
        return frame


@dataclass
class _Pandas:
    bars: pl.DataFrame

    def __post_init__(self) -> None:
        naive = self.bars.with_columns(pl.col("ts").dt.replace_time_zone(None))
        self._m15 = naive.to_pandas()
        self._sessions = _sessions().to_pandas()

    def run(self) -> None:
        for timeframe in DERIVED:
            self._aggregate(timeframe)

    def result(self, timeframe: Timeframe) -> pl.DataFrame:
        return pl.from_pandas(self._aggregate(timeframe)).with_columns(
            pl.col("vwap").fill_nan(None)
        )

    def _aggregate(self, timeframe: Timeframe) -> pd.DataFrame:
        sessions = self._sessions
        at = sessions["opens"].searchsorted(self._m15["ts"], side="right") - 1
        opens = sessions["opens"].to_numpy()[at]
        inside = (at >= 0) & (self._m15["ts"] < sessions["closes"].to_numpy()[at])
        width = pd.Timedelta(minutes=timeframe.minutes)
        m15 = self._m15.assign(
            bucket=opens + (self._m15["ts"] - opens) // width * width,
            weighted=self._m15["vwap"] * self._m15["volume"],
            weight=self._m15["volume"].where(self._m15["vwap"].notna()),
        )[inside]
        found = m15.groupby(["symbol", "bucket"], sort=False).agg(
            open=("open", "first"),
            high=("high", "max"),
            low=("low", "min"),
            close=("close", "last"),
            volume=("volume", "sum"),
            weighted=("weighted", "sum"),
            weight=("weight", "sum"),
            trade_count=("trade_count", "sum"),
        )
        found["vwap"] = found["weighted"] / found["weight"]
        return found.drop(columns=["weighted", "weight"]).reset_index(names=["symbol", "ts"])


def _sessions() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "opens": [session.opens.replace(tzinfo=None) for session in two_years()],
            "closes": [session.closes.replace(tzinfo=None) for session in two_years()],
        }
    ).cast(pl.Datetime("us"))


def _compare(name: str, found: pl.DataFrame, wanted: pl.DataFrame) -> None:
    """Hold a result against ours: equal, but for the last digits of sums."""
    key = ["symbol", "ts"]
    found = found.with_columns(pl.col("ts").cast(pl.Datetime("us"))).sort(key)
    wanted = wanted.sort(key)
    assert found.height == wanted.height, f"{name}: {found.height} bars, not {wanted.height}"
    for column in ("symbol", "ts", "open", "high", "low", "close", "trade_count"):
        same = found[column].cast(wanted.schema[column]) == wanted[column]
        assert same.fill_null(value=True).all(), f"{name}: {column} differs"
    for column in ("volume", "vwap"):
        apart = (found[column] - wanted[column]).abs() > _TOLERANCE * wanted[column].abs()
        assert not apart.fill_null(value=False).any(), f"{name}: {column} differs"
        assert (found[column].is_null() == wanted[column].is_null()).all(), f"{name}: {column}"


def _group(bars: int, found: dict[str, Timings]) -> Group:
    group = Group(f"resample {bars:,} m15 bars to h1 and h4 (results equal)")
    ours = found["swiftbolt"]
    for name, timings in found.items():
        group.lines.append(
            Line(
                name,
                milliseconds(timings.median),
                spread(timings.seconds),
                f"{timings.median / ours.median:.2f}",
            )
        )
        group.data[name] = timings.as_json() | {
            "bars_per_second": round(bars / timings.median),
            "times_ours": round(timings.median / ours.median, 3),
        }
    group.data["m15_bars"] = bars
    return group
