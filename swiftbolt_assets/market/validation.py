"""Which delivered bars may be stored, and why the others may not.

Nothing in a reply is trusted: every bar is held against the rules below, the bad ones are
quarantined with rule and value, the good ones kept. A vwap outside [low, high] is no error: odd
lots count in it and in the volume but set no price.

What belongs here: rules about single bars and their neighbours in one reply. What does not:
whether the reply is complete (`coverage.py`), believable as a whole (`trust.py`) or well-formed
(a provider's folder), and prices that could be, but not of this symbol
(`outliers.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from swiftbolt_assets.market.bars import BAR_SCHEMA
from swiftbolt_assets.market.order import strays
from swiftbolt_assets.market.resample import starts_us

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import pandera.polars as pa

#: One row a rejected bar: `ts` (null when unusable), `rule`, `value` (the offending value as
#: text), `bar` (the whole bar as JSON text).
REJECT_SCHEMA: dict[str, pl.DataType] = {
    "ts": BAR_SCHEMA["ts"],
    "rule": pl.String(),
    "value": pl.String(),
    "bar": pl.String(),
}

_PRICES = ("open", "high", "low", "close")
_OPTIONAL = ("vwap", "trade_count")
_SLOT_US = 15 * 60 * 1_000_000

#: No share has cost ten million dollars (the dearest, BRK.A, costs 0.8 million); no quarter hour
#: has seen a hundred billion shares (all of the US market trades some 20 billion a day) or a
#: billion trades. The table refuses the same (`migrations/sql/0025_bars.sql`).
PRICE_LIMIT = 1e7
VOLUME_LIMIT = 1e11
TRADES_LIMIT = 10**9


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation made of a reply.

    Attributes:
        good: bars of `BAR_SCHEMA`, ascending by `ts`, no `ts` twice.
        rejects: bars of `REJECT_SCHEMA`.

    """

    good: pl.DataFrame
    rejects: pl.DataFrame


def validate(bars: pl.DataFrame, opens: datetime, closes: datetime) -> Verdict:
    """Split a reply's bars into good ones and rejected ones.

    Args:
        bars: `BAR_SCHEMA`, in the order of the wire, any value null or not finite.
        opens: first instant that was asked for.
        closes: first instant after what was asked for.

    Raises:
        TypeError: the frame is not of `BAR_SCHEMA`, so that no rule could be held against it.

    """
    import pandera.errors

    if dict(bars.schema) != BAR_SCHEMA:
        raise TypeError(f"validate: a frame of BAR_SCHEMA is needed, not {dict(bars.schema)}")
    if bars.is_empty():
        return Verdict(bars, pl.DataFrame(schema=REJECT_SCHEMA))
    # The window goes in as columns, so that one schema serves all windows.
    framed = bars.with_columns(
        opens=pl.lit(opens, BAR_SCHEMA["ts"]), closes=pl.lit(closes, BAR_SCHEMA["ts"])
    )
    failures: dict[int, tuple[str, str]] = {}
    try:
        _all_at_once().validate(framed)
    except pandera.errors.SchemaError:
        try:
            _schema().validate(framed, lazy=True)
        except pandera.errors.SchemaErrors as errors:
            failures = _first_failures(errors.failure_cases, bars)
    if not failures and _is_ascending(bars):
        return Verdict(bars, pl.DataFrame(schema=REJECT_SCHEMA))
    numbered = bars.with_row_index("row")
    passed = numbered.filter(~pl.col("row").is_in(list(failures))) if failures else numbered
    if found := _out_of_order(passed):
        failures |= found
        passed = passed.filter(~pl.col("row").is_in(list(found)))
    if passed["ts"].is_duplicated().any():
        failures |= _duplicates(passed)
        passed = passed.filter(~pl.col("row").is_in(list(failures)))
    return Verdict(passed.drop("row").sort("ts"), _rejects(numbered, failures))


def _is_ascending(bars: pl.DataFrame) -> bool:
    """Return whether each bar starts later than the one before."""
    return bool((np.diff(starts_us(bars)) > 0).all())


def spoilt_slots(rejects: pl.DataFrame) -> frozenset[datetime]:
    """Return the starts of the quarter hours whose bars are among rejected ones.

    A bar that starts inside a quarter hour may have been meant for it or for the next.
    """
    if rejects.is_empty():
        return frozenset()
    ts = rejects["ts"].drop_nulls()
    floor = ts.dt.truncate("15m")
    return frozenset(floor.to_list()) | frozenset(
        floor.filter(floor != ts).dt.offset_by("15m").to_list()
    )


def belong_elsewhere(rejects: pl.DataFrame) -> bool:
    """Return whether a rejected bar may stand for one at a time that nobody knows."""
    rules = {"ts_missing", "outside_window", "out_of_order"}
    return not rejects.is_empty() and bool(rejects["rule"].is_in(list(rules)).any())


def without_time(rejects: pl.DataFrame) -> bool:
    """Return whether a rejected bar stands for one at any time at all."""
    return not rejects.is_empty() and bool((rejects["rule"] == "ts_missing").any())


def mostly_rejected(delivered: int, rejects: pl.DataFrame) -> str | None:
    """Return what to say of a reply more than half of whose bars were rejected; None otherwise.

    Copies of a bar that is kept count neither as delivered nor as rejected.

    Args:
        delivered: bars of the reply.
        rejects: those that were rejected (`REJECT_SCHEMA`).

    """
    bad = rejects.filter(pl.col("rule") != "duplicate")
    distinct = delivered - (rejects.height - bad.height)
    if 2 * bad.height <= distinct:
        return None
    rule = bad["rule"].value_counts(sort=True)["rule"][0]
    value = bad.filter(pl.col("rule") == rule)["value"][0]
    return f"{bad.height:,} of {distinct:,} bars were rejected ({rule}: {value})"


@cache
def _all_at_once() -> pa.DataFrameSchema:
    """Return the rules as a single one: 2 ms a call instead of 17, but it names no rule.

    Nearly every reply is clean; one that is not goes through `_schema`. The columns' types are
    known to be right.
    """
    import pandera.polars as pa

    required = [pl.col(name).is_not_null() for name in BAR_SCHEMA if name not in _OPTIONAL]
    rules = [rule.fill_null(value=True) for rule in _RULES.values()]
    return pa.DataFrameSchema(checks=pa.Check(_rule(pl.all_horizontal(*required, *rules))))


@cache
def _schema() -> pa.DataFrameSchema:
    """Return the rules one by one, for a reply that breaks some."""
    import pandera.polars as pa

    rules = {name: pa.Check(_rule(expression), error=name) for name, expression in _RULES.items()}
    return pa.DataFrameSchema(
        {name: pa.Column(dtype, nullable=name in _OPTIONAL) for name, dtype in BAR_SCHEMA.items()},
        checks=list(rules.values()),
        strict=False,
    )


def _rule(expression: pl.Expr) -> Callable[[pa.PolarsData], pl.LazyFrame]:
    # A null is the column's own failure, or allowed: no rule speaks of it.
    holds = expression.fill_null(value=True)
    return lambda data: data.lazyframe.select(holds)


_RULES = {
    "not_finite": pl.all_horizontal(pl.col(*_PRICES, "volume", "vwap").is_finite()),
    "price_not_positive": pl.min_horizontal(*_PRICES) > 0,
    "price_impossible": pl.max_horizontal(*_PRICES, "vwap") < PRICE_LIMIT,
    "vwap_negative": pl.col("vwap") >= 0,
    "volume_negative": pl.min_horizontal("volume", "trade_count") >= 0,
    "volume_impossible": (pl.col("volume") < VOLUME_LIMIT)
    & (pl.col("trade_count").fill_null(0) < TRADES_LIMIT),
    # A bar without a trade does not exist on the wire; one whose price moves nowhere.
    "without_trades": (pl.col("volume") > 0)
    | (pl.col("trade_count") > 0)
    | pl.col("trade_count").is_null()
    | (pl.col("high") <= pl.col("low")),
    "outside_window": (pl.col("ts") >= pl.col("opens")) & (pl.col("ts") < pl.col("closes")),
    "misaligned": pl.col("ts").dt.epoch("us") % _SLOT_US == 0,
    "high_low_order": (pl.col("low") <= pl.min_horizontal("open", "close"))
    & (pl.col("high") >= pl.max_horizontal("open", "close")),
}

#: Which columns a rule's quarantined value shows.
_SHOWN = {
    "not_finite": (*_PRICES, "volume", "vwap"),
    "price_not_positive": _PRICES,
    "price_impossible": (*_PRICES, "vwap"),
    "vwap_negative": ("vwap",),
    "volume_negative": ("volume", "trade_count"),
    "volume_impossible": ("volume", "trade_count"),
    "without_trades": ("volume", "trade_count", *_PRICES),
    "outside_window": ("ts",),
    "misaligned": ("ts",),
    "high_low_order": _PRICES,
}


def _first_failures(cases: pl.DataFrame, bars: pl.DataFrame) -> dict[int, tuple[str, str]]:
    """Return row -> (rule, value) of the first rule that each bad row breaks."""
    found: dict[int, tuple[str, str]] = {}
    for case in cases.iter_rows(named=True):
        # A case without a row is a rule that could not be computed: not a bar's fault.
        if case["index"] is None:
            raise TypeError(f"validate: rule {case['check']!r} failed on {case['failure_case']!r}")
        row, check = int(case["index"]), str(case["check"])
        if row in found:
            continue
        bar = bars.row(row, named=True)
        if check == "not_nullable":
            value = bar[case["column"]]
            rule = f"{case['column']}_missing" if value is None else "not_finite"
            found[row] = (rule, str(value))
        else:
            found[row] = (check, ", ".join(f"{name}={bar[name]}" for name in _SHOWN[check]))
    return found


def _out_of_order(bars: pl.DataFrame) -> dict[int, tuple[str, str]]:
    """Reject bars far from their place in the order: they were mixed in from another date."""
    found = strays(bars["ts"].dt.epoch("us").to_numpy())
    return {bars["row"][at]: ("out_of_order", str(bars["ts"][at])) for at in found}


def _duplicates(bars: pl.DataFrame) -> dict[int, tuple[str, str]]:
    """Judge bars that share a `ts`: equal copies lose all but one, different ones all.

    Which of two different bars is true cannot be known, so neither is kept; the slot counts as
    unanswered and is asked for again.
    """
    failures: dict[int, tuple[str, str]] = {}
    shared = bars.filter(pl.col("ts").is_duplicated())
    for _, group in shared.group_by("ts", maintain_order=True):
        rows = group["row"].to_list()
        same = group.drop("row").n_unique() == 1
        rule = "duplicate" if same else "conflicting_duplicate"
        failures |= {row: (rule, str(group["ts"][0])) for row in (rows[1:] if same else rows)}
    return failures


def _rejects(numbered: pl.DataFrame, failures: dict[int, tuple[str, str]]) -> pl.DataFrame:
    if not failures:
        return pl.DataFrame(schema=REJECT_SCHEMA)
    bad = numbered.filter(pl.col("row").is_in(list(failures)))
    named = pl.DataFrame(
        [(row, rule, value) for row, (rule, value) in failures.items()],
        schema={"row": pl.UInt32(), "rule": pl.String(), "value": pl.String()},
        orient="row",
    )
    columns = [name for name in BAR_SCHEMA if name != "ts"]
    return (
        bad.with_columns(bar=pl.struct("ts", *columns).struct.json_encode())
        .join(named, on="row", how="inner")
        .sort("row")
        .select(*REJECT_SCHEMA)
    )
