"""The decoder reads as Swift's does: else no test of a reply proves anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rehearsal.macos import swift
from rehearsal.macos.structs import BAR, QUOTE, SYMBOL
from rehearsal.macos.swift import Array, DecodingError, Struct, decode

if TYPE_CHECKING:
    from rehearsal.macos.swift import Kind

KINDS: dict[str, tuple[Kind, str, str]] = {
    # Kind, what it takes, what it refuses.
    "String": (swift.string, '"" "1"', "1 true {}"),
    "Int": (
        swift.integer,
        "0 -7 3.0 1e3 9223372036854775807",
        '1.5 "1" true 9223372036854775808 1e999',
    ),
    "Double": (swift.double, "1 -1.5 0", '"1.5" true [] NaN Infinity'),
    "Bool": (swift.boolean, "true false", '0 1 "true"'),
    "UUID": (swift.uuid, '"00000000-0000-0000-0000-00000000000A"', '"" "x" "{0}" 7'),
    "Date": (
        swift.instant,
        '"2025-12-05T14:00:00Z" "2025-12-05T14:00:00.123Z" "2025-12-05T14:00:00-05:00"',
        '"2025-12-05T14:00:00" "2025-12-05T14:00:00.5Z" "2025-12-05T14:00:00.123456Z" 1764943200',
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_takes_what_swift_takes_and_no_more(name: str) -> None:
    kind, taken, refused = KINDS[name]
    for text in taken.split():
        decode(text.encode(), kind)
    for text in [*refused.split(), "null"]:
        with pytest.raises(DecodingError):
            decode(text.encode(), kind)


def test_a_key_without_a_question_mark_fails_the_whole_reply() -> None:
    kind = Array(Struct("Test.swift:1", {"a": swift.integer, "b?": swift.string}))
    assert decode(b'[{"a": 1}, {"a": 2, "b": null, "c": []}]', kind) == [
        {"a": 1, "b": None},
        {"a": 2, "b": None},
    ]
    for body in (b'[{"a": 1}, {}]', b'[{"a": null}]', b'[{"a": 1, "b": 2}]', b'{"a": 1}', b"[1]"):
        with pytest.raises(DecodingError):
            decode(body, kind)


def test_types_with_their_own_init_read_as_it_does() -> None:
    bar = b'{"ts": "2025-12-05T14:00:00Z", "close": 7, "open": null}'
    assert decode(bar, BAR)
    for body in (b'{"ts": "2025-12-05T14:00:00Z"}', b'{"ts": "2025-12-05", "close": 7}'):
        with pytest.raises(DecodingError):
            decode(body, BAR)
    names = [name for name in QUOTE.fields if name not in {"symbol", "last_trade_time?"}]
    quote = '{"symbol": "A", ' + ", ".join(f'"{name}": 1' for name in names)
    for time in ("", ', "last_trade_time": null', ', "last_trade_time": 5'):
        assert decode(f"{quote}{time}}}".encode(), QUOTE)
    with pytest.raises(DecodingError, match="description"):
        decode(
            b'{"id": "00000000-0000-0000-0000-000000000000", "ticker": "A", "asset_type": "stock",'
            b' "description": null}',
            SYMBOL,
        )


def test_a_text_with_a_fraction_is_no_date_to_a_formatter_without_options() -> None:
    assert swift.plain_instant("2025-12-05T14:00:00Z") is not None
    assert swift.plain_instant("2025-12-05T14:00:00.123Z") is None
