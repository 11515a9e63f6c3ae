"""Which bars of a reply are kept, and what is said of the others."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swiftbolt_assets.market.bars import BAR_SCHEMA, empty_bars
from swiftbolt_assets.market.validation import REJECT_SCHEMA, Verdict, mostly_rejected, validate

if TYPE_CHECKING:
    from collections.abc import Iterable

OPENS = datetime(2026, 3, 6, 5, tzinfo=UTC)
CLOSES = datetime(2026, 3, 7, 5, tzinfo=UTC)
TEN = datetime(2026, 3, 6, 15, tzinfo=UTC)
SLOT = timedelta(minutes=15)
NAN, INF = math.nan, math.inf


def bar(ts: datetime | None = TEN, **values: object) -> dict[str, Any]:
    good = {"open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 100.5}
    return {"ts": ts, **good, "vwap": 10.5, "trade_count": 7} | values


def judged(rows: Iterable[dict[str, Any]]) -> Verdict:
    return validate(pl.DataFrame(list(rows), schema=BAR_SCHEMA, orient="row"), OPENS, CLOSES)


def rules(verdict: Verdict) -> list[str]:
    return verdict.rejects["rule"].to_list()


@pytest.mark.parametrize(
    "row",
    [
        bar(),
        bar(vwap=None),
        bar(trade_count=None),
        bar(vwap=8.0),  # odd lots count in it but set no price
        bar(vwap=0.0),
        bar(volume=0.0, trade_count=0, open=9.5, high=9.5, low=9.5, close=9.5),
        bar(volume=0.0, trade_count=None),
        bar(volume=0.0, trade_count=3),  # less than one whole share
        bar(volume=9.9e10, trade_count=999_999_999),
        bar(open=0.0001, high=0.0001, low=0.0001, close=0.0001),
        bar(open=700_000.0, high=9_999_999.0, low=1.0, close=800_000.0, vwap=9_999_999.0),
        bar(OPENS),
        bar(CLOSES - SLOT),
    ],
)
def test_a_sound_bar_is_kept_as_it_is(row: dict[str, Any]) -> None:
    verdict = judged([row])
    assert verdict.good.to_dicts() == [row]
    assert verdict.rejects.is_empty()


@pytest.mark.parametrize(
    ("row", "rule", "value"),
    [
        (bar(None), "ts_missing", "None"),
        (bar(open=None), "open_missing", "None"),
        (bar(high=None), "high_missing", "None"),
        (bar(low=None), "low_missing", "None"),
        (bar(close=None), "close_missing", "None"),
        (bar(volume=None), "volume_missing", "None"),
        (bar(open=NAN), "not_finite", "nan"),
        (bar(volume=NAN), "not_finite", "nan"),
        (bar(vwap=NAN), "not_finite", "vwap=nan"),
        (bar(high=INF), "not_finite", "high=inf"),
        (bar(low=-INF), "not_finite", "low=-inf"),
        (bar(volume=INF), "not_finite", "volume=inf"),
        (bar(vwap=INF), "not_finite", "vwap=inf"),
        (bar(low=0.0), "price_not_positive", "low=0.0"),
        (bar(low=-9.0), "price_not_positive", "low=-9.0"),
        (bar(vwap=-0.5), "vwap_negative", "vwap=-0.5"),
        (bar(volume=-1.0), "volume_negative", "volume=-1.0"),
        (bar(trade_count=-1), "volume_negative", "trade_count=-1"),
        (bar(high=1e7), "price_impossible", "high=10000000.0"),
        (bar(high=1e12), "price_impossible", "high=1000000000000.0"),
        (bar(high=2e7, open=1.5e7, trade_count=None), "price_impossible", "open=15000000.0"),
        (bar(vwap=1e7), "price_impossible", "vwap=10000000.0"),
        (bar(high=1e9, vwap=None), "price_impossible", "high=1000000000.0"),
        (bar(volume=1e11), "volume_impossible", "volume=100000000000.0"),
        (bar(volume=1e20, trade_count=None), "volume_impossible", "volume=1e+20"),
        (bar(trade_count=10**9), "volume_impossible", "trade_count=1000000000"),
        (bar(volume=0.0, trade_count=0), "without_trades", "volume=0.0, trade_count=0"),
        (bar(OPENS - SLOT), "outside_window", "2026-03-06 04:45:00"),
        (bar(CLOSES), "outside_window", "2026-03-07 05:00:00"),
        (bar(TEN.replace(year=1970)), "outside_window", "1970"),
        (bar(TEN + timedelta(minutes=1)), "misaligned", "15:01:00"),
        (bar(TEN + timedelta(microseconds=1)), "misaligned", "15:00:00.000001"),
        (bar(high=8.0), "high_low_order", "high=8.0"),
        (bar(high=10.9), "high_low_order", "high=10.9"),
        (bar(low=10.1), "high_low_order", "low=10.1"),
        (bar(low=11.5), "high_low_order", "low=11.5"),
    ],
)
def test_each_rule_rejects_with_its_name_and_the_value(
    row: dict[str, Any], rule: str, value: str
) -> None:
    sound = bar(TEN + SLOT)
    verdict = judged([row, sound])
    assert verdict.good.to_dicts() == [sound]
    assert dict(verdict.rejects.schema) == REJECT_SCHEMA
    assert rules(verdict) == [rule]
    assert value in verdict.rejects["value"][0]
    assert verdict.rejects["ts"][0] == row["ts"]


def test_the_whole_bar_is_kept_as_json_that_postgres_can_read() -> None:
    verdict = judged([bar(open=NAN, high=INF, volume=-1.0, trade_count=-3), bar(None)])
    first, second = (
        json.loads(text, parse_constant=_no_constant) for text in verdict.rejects["bar"]
    )
    assert datetime.fromisoformat(first["ts"]) == TEN
    assert (first["open"], first["high"], first["trade_count"]) == (None, None, -3)
    assert (second["ts"], second["close"]) == (None, 11.0)
    assert list(first) == list(BAR_SCHEMA)


def test_a_bar_that_breaks_several_rules_is_rejected_once() -> None:
    worst = bar(OPENS - timedelta(seconds=1), open=NAN, high=-1.0, volume=-5.0, vwap=-INF)
    verdict = judged([worst, worst, bar()])
    assert verdict.good.height == 1
    assert rules(verdict) == ["not_finite", "not_finite"]


def test_a_reply_of_bad_bars_only_leaves_an_empty_frame() -> None:
    verdict = judged([bar(low=-1.0), bar(None)])
    assert verdict.good.is_empty()
    assert dict(verdict.good.schema) == BAR_SCHEMA
    assert verdict.rejects.height == 2


def test_an_empty_reply_is_neither_good_nor_bad() -> None:
    verdict = validate(empty_bars(), OPENS, CLOSES)
    assert verdict.good.is_empty()
    assert verdict.rejects.is_empty()
    assert dict(verdict.rejects.schema) == REJECT_SCHEMA


def test_equal_copies_lose_all_but_one() -> None:
    verdict = judged([bar(), bar(), bar(TEN + SLOT), bar()])
    assert verdict.good["ts"].to_list() == [TEN, TEN + SLOT]
    assert rules(verdict) == ["duplicate", "duplicate"]
    assert verdict.rejects["ts"].to_list() == [TEN, TEN]


def test_bars_that_contradict_each_other_are_all_rejected() -> None:
    verdict = judged([bar(), bar(close=11.5), bar(), bar(TEN + SLOT)])
    assert verdict.good["ts"].to_list() == [TEN + SLOT]
    assert rules(verdict) == ["conflicting_duplicate"] * 3


def test_a_bad_copy_does_not_take_the_good_bar_with_it() -> None:
    verdict = judged([bar(high=1.0), bar()])
    assert verdict.good.to_dicts() == [bar()]
    assert rules(verdict) == ["high_low_order"]


def test_disorder_is_put_in_order_and_rejects_keep_the_order_of_the_wire() -> None:
    rows = [bar(TEN + i * SLOT, low=-1.0 if i % 2 else 9.0) for i in (5, 2, 3, 0, 1, 4)]
    verdict = judged(rows)
    assert verdict.good["ts"].to_list() == [TEN + i * SLOT for i in (0, 2, 4)]
    assert verdict.rejects["ts"].to_list() == [TEN + i * SLOT for i in (5, 3, 1)]


def test_a_reply_of_which_more_than_half_was_rejected_says_so_with_the_commonest_rule() -> None:
    late = timedelta(minutes=8)
    rows = [bar(TEN + i * SLOT + late) for i in range(5)]
    verdict = judged([*rows, bar(low=-1.0), bar(TEN + SLOT)])
    said = mostly_rejected(7, verdict.rejects)
    assert said == "6 of 7 bars were rejected (misaligned: ts=2026-03-06 15:08:00+00:00)"
    assert mostly_rejected(12, verdict.rejects) is None
    assert mostly_rejected(11, verdict.rejects) is not None


def test_a_reply_that_delivers_everything_twice_is_not_mostly_rejected() -> None:
    rows = [bar(TEN + i * SLOT) for i in range(6)] * 3
    verdict = judged(rows)
    assert verdict.rejects.height == 12
    assert mostly_rejected(18, verdict.rejects) is None
    bad = judged([*rows[:6] * 2, *[bar(TEN + i * SLOT, low=-1.0) for i in range(7, 14)]])
    assert mostly_rejected(19, bad.rejects) == (
        "7 of 13 bars were rejected"
        " (price_not_positive: open=10.0, high=12.0, low=-1.0, close=11.0)"
    )


def test_of_no_bars_none_were_rejected() -> None:
    assert mostly_rejected(0, pl.DataFrame(schema=REJECT_SCHEMA)) is None


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame([bar()], schema=BAR_SCHEMA).with_columns(pl.col("open").cast(pl.Int64())),
        pl.DataFrame([bar()], schema=BAR_SCHEMA).with_columns(
            pl.col("ts").dt.replace_time_zone(None)
        ),
        pl.DataFrame([bar()], schema=BAR_SCHEMA).drop("volume"),
    ],
)
def test_a_frame_of_another_shape_is_refused_not_passed(frame: pl.DataFrame) -> None:
    with pytest.raises(TypeError, match="BAR_SCHEMA"):
        validate(frame, OPENS, CLOSES)


_number = st.one_of(
    st.none(), st.sampled_from([NAN, INF, -INF, 0.0, -0.0, -1.0, 9.0, 10.0, 11.0, 12.0])
)
_bars = st.fixed_dictionaries(
    {
        "ts": st.one_of(
            st.none(),
            st.integers(-3, 98).map(lambda i: OPENS + i * SLOT),
            st.datetimes(datetime(2026, 3, 6), datetime(2026, 3, 8), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
        ),
        "open": _number,
        "high": _number,
        "low": _number,
        "close": _number,
        "volume": _number,
        "vwap": _number,
        "trade_count": st.one_of(st.none(), st.integers(-2, 5)),
    }
)
_mixed = st.lists(st.one_of(_bars, st.integers(0, 95).map(lambda i: bar(OPENS + i * SLOT))))


@settings(max_examples=100, deadline=None)
@given(_mixed)
def test_every_bar_is_good_or_rejected_exactly_once_and_good_ones_are_sound(
    rows: list[dict[str, Any]],
) -> None:
    verdict = judged(rows)
    assert verdict.good.height + verdict.rejects.height == len(rows)
    held = [_text(row) for row in verdict.good.to_dicts()]
    bad = [json.loads(text) for text in verdict.rejects["bar"]]
    # What JSON cannot hold (NaN, infinities) is null in the quarantined text.
    assert sorted([*held, *(json.dumps(_plain(one)) for one in bad)]) == sorted(map(_text, rows))
    starts = verdict.good["ts"].to_list()
    assert starts == sorted(set(starts))
    for row in verdict.good.to_dicts():
        prices = [row[name] for name in ("open", "high", "low", "close")]
        assert all(math.isfinite(price) and price > 0 for price in prices)
        assert row["low"] == min(prices)
        assert row["high"] == max(prices)
        assert row["volume"] >= 0
        assert OPENS <= row["ts"] < CLOSES
        assert (row["ts"] - OPENS) % SLOT == timedelta(0)
    assert verdict.rejects["rule"].null_count() == verdict.rejects["value"].null_count() == 0


def _text(row: dict[str, Any]) -> str:
    return json.dumps(_plain(row | {"ts": row["ts"] and row["ts"].isoformat()}))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a bar as JSON holds it."""
    ts = row["ts"] and datetime.fromisoformat(row["ts"]).timestamp()
    numbers = {
        name: None
        if row[name] is None or not math.isfinite(row[name])
        else row[name] + 0.0  # -0.0 becomes 0.0
        for name in BAR_SCHEMA
        if name != "ts"
    }
    return {"ts": ts, **numbers}


def _no_constant(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")
