"""ArcticDB's part of `rivals.py`: run in an environment that has it, told in JSON.

`python arctic.py FOLDER BARS.parquet REPETITIONS` writes each symbol's timeframes to a library on
this disk and reads two years of one. What belongs here: what needs ArcticDB, and nothing of the
project. What does not: comparing.
"""

from __future__ import annotations

import json
import sys
import time

import arcticdb
import pandas as pd

_TIMEFRAMES = ("h1", "m15")


def main(folder: str, bars: str, repetitions: str) -> None:
    """Measure and print the seconds of each repetition, by what was read."""
    library = arcticdb.Arctic(f"lmdb://{folder}").create_library("bars")
    frame = pd.read_parquet(bars).set_index("ts")
    frame.index = frame.index.tz_convert(None)
    for (symbol, timeframe), part in frame.groupby(["symbol", "timeframe"]):
        library.write(f"{symbol}/{timeframe}", part.drop(columns=["symbol", "timeframe"]))
    found: dict[str, list[float]] = {}
    span = (frame.index.min(), frame.index.max())
    for turn in range(-3, int(repetitions)):
        for timeframe in _TIMEFRAMES:
            began = time.perf_counter()
            read = library.read(f"AAPL/{timeframe}", date_range=span).data
            seconds = time.perf_counter() - began
            assert len(read) > 1_000
            if turn >= 0:
                found.setdefault(f"{timeframe} ArcticDB, frame", []).append(seconds)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
