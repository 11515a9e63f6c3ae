"""A symbol's shard follows from its name and the count, for ever and in every process."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.policy.shards import UNDIVIDED, WHOLE, Shard, Shards, shards_needed

#: CRC-32 as `gzip -c | tail -c8 | od -tu4` tells it; the shard is the remainder, counted from 1.
CRC = {"AAPL": 3060094812, "MSFT": 3974476411, "BRK.B": 1779396780}


@pytest.mark.parametrize("symbol", CRC)
def test_a_symbols_shard_is_the_remainder_of_its_checksum(symbol: str) -> None:
    for count in (1, 2, 3, 8, 64):
        assert Shards(count).of(symbol) == Shard(CRC[symbol] % count + 1, count)


def test_one_shard_has_the_names_that_others_rely_on() -> None:
    assert UNDIVIDED.all == (WHOLE,)
    assert [WHOLE.asset(t) for t in Timeframe] == ["m15_bars", "h1_bars", "h4_bars"]
    assert (WHOLE.partition_set, WHOLE.job("fill_bars")) == ("symbols", "fill_bars")


def test_more_shards_have_names_that_hold_the_count() -> None:
    second = Shards(4).all[1]
    assert second.asset(Timeframe.M15) == "m15_bars_2of4"
    assert (second.partition_set, second.job("fill_bars")) == ("symbols_2of4", "fill_bars_2of4")


@given(st.sets(st.from_regex(r"[A-Z]{1,5}", fullmatch=True)), st.integers(1, 64))
def test_every_symbol_is_in_one_shard(symbols: set[str], count: int) -> None:
    shards = Shards(count)
    divided = shards.divided(symbols)
    assert sorted(symbol for part in divided.values() for symbol in part) == sorted(symbols)
    assert all(shard.holds(symbol) for shard, part in divided.items() for symbol in part)
    assert all(sum(s.holds(symbol) for s in shards.all) == 1 for symbol in symbols)


def test_ten_thousand_symbols_are_divided_evenly() -> None:
    names = [f"{a}{b}{c}" for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for b in "ABCDEFGHIJKLMNOPQRST"
             for c in "ABCDEFGHIJKLMNOPQRST"][:10_000]  # fmt: skip
    sizes = Counter(Shards(20).of(name) for name in names)
    assert len(sizes) == 20
    assert max(sizes.values()) < 1.1 * 500


def test_shards_are_needed_once_an_asset_has_a_quarter_million_partitions() -> None:
    assert shards_needed(0, 730) == 1
    assert shards_needed(342, 730) == 1
    assert shards_needed(343, 730) == 2
    assert shards_needed(10_000, 730) == 30
