"""Symbols and timeframes as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.providers.registry import TODAY
from resources.providers.tradier.quotes import canonical
from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.market.symbols import parse_symbol
from swiftbolt_assets.market.timeframes import Timeframe, parse_timeframe

HOSTILE = {
    "empty": "",
    "blank": "   ",
    "300 letters": "A" * 300,
    "eleven letters": "ABCDEFGHIJK",
    "path": "../../etc/passwd",
    "SQL": "AAPL'; drop table symbols; --",
    "query": "AAPL?limit=1",
    "percent": "%41APL",
    "partition separator": "2026-11-20|AAPL",
    "full-width": "\uff21\uff21\uff30\uff2c",
    "emoji": "🚀",
    "emoji inside": "AA🚀PL",
    "dotless i": "\u0131bm",
    "long s": "\u017fpy",
    "Kelvin sign": "\u212a",
    "Cyrillic A": "\u0410APL",
    "NUL": "AAPL\0",
    "NUL inside": "AA\0PL",
    "right-to-left mark": "AAPL\u200f",
    "right-to-left override": "\u202eLPAA",
    "no-break space": "\u00a0AAPL",
    "blank inside": "AA PL",
    "line break inside": "AAPL\nMSFT",
    "two dots in a row": "BRK..B",
    "three dots": "ABC.WS.A.B",
    "capital later": "aAPL",
    "dot first": ".B",
    "dot last": "BRK.",
    "digit first": "1AAPL",
    "digit class": "BRK.1",
    "dash last": "BRK-",
    "two dashes": "BRK--B",
    "lone surrogate": "AAPL\ud800",
}


@pytest.mark.parametrize("text", ["AAPL", "aapl", "  aapl ", "aapl\n", "\tAAPL"])
def test_small_letters_alone_and_outer_blanks_never_make_a_second_symbol(text: str) -> None:
    assert parse_symbol(text) == "AAPL"


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("BRK.B", "BRK.B"),
        ("brk.b", "BRK.B"),
        ("BRK-B", "BRK.B"),
        ("brk/b", "BRK.B"),
        ("a", "A"),
        ("c3", "C3"),
        ("BF.A", "BF.A"),
        ("abc.ws.a", "ABC.WS.A"),
        ("ABC/WS/A", "ABC.WS.A"),
        ("ABC.U", "ABC.U"),
        ("ABC.WSw", "ABC.WSw"),
    ],
)
def test_classes_units_warrants_and_short_tickers_pass(text: str, symbol: str) -> None:
    assert parse_symbol(text) == symbol


@pytest.mark.parametrize("text", ["BACpL", "BCpC", "ABCDw", "ABCr", "ABCrw", "BACpL.CL", "Aapl"])
def test_what_has_a_capital_is_taken_as_typed(text: str) -> None:
    assert parse_symbol(f" {text}\n") == text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_refused_in_one_line_that_names_the_field(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_symbol(text)
    message = str(caught.value)
    assert message.startswith("symbol: ")
    assert message.isprintable()
    assert len(message) < 400
    message.encode("ascii")


@given(st.text(max_size=40))
def test_whatever_passes_is_canonical_and_safe_in_a_path(text: str) -> None:
    try:
        symbol = parse_symbol(text)
    except UsageError as error:
        assert str(error).isascii()  # noqa: PT017 - either outcome is right
        return
    typed = text.strip(" \t\r\n").replace("-", ".").replace("/", ".")
    assert parse_symbol(symbol) == symbol == (typed.upper() if typed.islower() else typed)
    assert symbol.replace(".", "").isalnum()
    assert symbol.isascii()


def test_tradier_writes_class_shares_with_a_slash_and_no_small_letters() -> None:
    spelled = {"BRK.B": "BRK/B", "AAPL": "AAPL", "ABC.WS.A": "ABC/WS/A", "BCpC": None, "ABCw": None}
    assert {one: TODAY.spelled(one) for one in spelled} == spelled
    assert canonical("BRK/B") == "BRK.B"
    assert [canonical(one) for one in ("BCpC", "", "brk/b", "BRK B", "//")] == [None] * 5


@pytest.mark.parametrize(
    ("text", "timeframe"),
    [
        ("m15", Timeframe.M15),
        ("M15", Timeframe.M15),
        ("15m", Timeframe.M15),
        ("15min", Timeframe.M15),
        ("h1", Timeframe.H1),
        ("1h", Timeframe.H1),
        ("60m", Timeframe.H1),
        (" H4 ", Timeframe.H4),
        ("4h", Timeframe.H4),
        ("240m", Timeframe.H4),
    ],
)
def test_every_spelling_of_a_timeframe_is_one_token(text: str, timeframe: Timeframe) -> None:
    assert parse_timeframe(text) is timeframe


@pytest.mark.parametrize(
    "text", ["", " ", "m1", "d1", "1", "\uff481", "m15\0", "h" * 300, "m15;h1"]
)
def test_an_unknown_timeframe_is_refused_in_one_line_with_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_timeframe(text)
    message = str(caught.value)
    assert message.startswith("timeframe: ")
    assert "m15, h1, h4" in message
    assert message.isprintable()
    assert len(message) < 120


def test_timeframes_have_their_lengths_in_minutes() -> None:
    assert [(str(one), one.minutes) for one in Timeframe] == [("m15", 15), ("h1", 60), ("h4", 240)]
