"""Every call of the app at three of its states: served and decoded, or named as not served."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from rehearsal.macos.calls import CALLS, NOT_SERVED
from rehearsal.macos.swift import (
    Array,
    DecodingError,
    Struct,
    anything,
    boolean,
    decode,
    double,
    instant,
    integer,
    string,
    uuid,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rehearsal.macos.calls import Call, NotServed
    from rehearsal.macos.swift import Kind

#: A value of another type; a Double takes an Int.
_OTHER: dict[Kind, Any] = {
    string: 7, integer: "7", double: "7", boolean: 1, uuid: "7", instant: "2026-11-20",
}  # fmt: skip


def named(call: Call | NotServed) -> str:
    return "-".join((getattr(call, "state", ""), getattr(call, "function", call.path))).strip("-")


def served(call: Call) -> Any:
    """Mark a call's name."""
    return pytest.param(call, id=named(call))


EVERY_CALL = pytest.mark.parametrize("call", [served(call) for call in CALLS])


@pytest.fixture
def filled(api: Any, app: Any) -> Any:
    """Return the API with two months of AAPL on the watchlist, today, and a forecast."""
    app.watchlist("add", "AAPL")
    app.ensure("AAPL", "m15", 60)
    api.fill("AAPL", api.days(60))
    for timeframe, slots in (("m15", 26), ("h1", 25), ("h4", 17)):
        api.trade_today("AAPL", timeframe, slots)
    api.sql(
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, is_forecast, close,"
        " upper_band, lower_band, confidence_score) select id, 'h1', '2026-11-23T15:30:00Z',"
        " 'ml_forecast', true, 120, 130, 110, 0.5 from symbols where ticker = 'AAPL'"
    )
    return api


@EVERY_CALL
def test_a_fresh_server_answers_so_that_the_app_decodes_it(
    api: Any, app_of: Callable[[str], Any], call: Call
) -> None:
    """Nothing is known of the symbol yet: an error would stay on the screen."""
    assert api.sql("select from symbols") == []
    reply = app_of(call.state).sent(call.about("NVDA"))
    decode(reply.content, call.reply)
    assert reply.headers["content-type"].startswith("application/json")


@EVERY_CALL
def test_a_server_that_holds_bars_answers_so_that_the_app_decodes_it(
    filled: Any, app_of: Callable[[str], Any], call: Call
) -> None:
    assert filled.days(60)
    reply = app_of(call.state).sent(call.about("AAPL"))
    decode(reply.content, call.reply)


@EVERY_CALL
def test_whatever_is_dropped_nulled_or_retyped_the_app_refuses(
    filled: Any, app_of: Callable[[str], Any], call: Call
) -> None:
    """Were it not so, the tests above would prove nothing."""
    assert filled.days(60)
    body = app_of(call.state).sent(call.about("AAPL")).content
    decode(body, call.reply)
    reply = json.loads(body)
    seen: set[str] = set()
    for place, spoiled in mutations(call.reply, reply, "reply"):
        seen.add(place)
        with pytest.raises(DecodingError):
            decode(json.dumps(spoiled).encode(), call.reply)
    assert seen >= required(call.reply, reply, "reply")
    assert len(seen) >= 3


@pytest.mark.parametrize("call", NOT_SERVED, ids=named)
def test_a_call_that_is_not_served_answers_so_in_json(api: Any, call: NotServed) -> None:
    reply = api.call(call.method, call.path, json=None if call.method == "GET" else {})
    assert reply.status == 404
    assert reply.headers["content-type"].startswith("application/json")
    assert isinstance(reply.json, dict)
    # With this word the app says that the symbol is invalid (APIClient.swift, S2:125-131).
    assert b"Symbol" not in reply.body


def test_no_call_is_both_served_and_not() -> None:
    paths = {(call.method, call.path) for call in CALLS}
    assert not paths & {(call.method, call.path) for call in NOT_SERVED}
    assert {call.state for call in CALLS} == {"S1", "S2", "HEAD"}


def mutations(kind: Kind, value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Return a value with each required part dropped, null, or of another type."""
    if isinstance(kind, Struct):
        for name, inner in kind.fields.items():
            key = name.removesuffix("?")
            where = f"{place}.{name}"
            held = value.get(key)
            if held is not None:
                for deeper, spoiled in mutations(inner, held, where):
                    yield deeper, {**value, key: spoiled}
            if not name.endswith("?"):
                yield where, {one: held for one, held in value.items() if one != key}
                yield where, {**value, key: None}
        yield place, []
    elif isinstance(kind, Array):
        # The first and the last element stand for all.
        for number in {0, len(value) - 1} if value else ():
            for deeper, spoiled in mutations(kind.of, value[number], f"{place}[]"):
                changed = deepcopy(value[:1]) if number == 0 else value[-1:]
                changed[0] = spoiled
                yield deeper, changed
        yield place, {}
    elif kind in _OTHER:
        yield place, _OTHER[kind]
    else:
        assert kind is anything, kind


def required(kind: Kind, value: Any, place: str) -> set[str]:
    """Return the places of all required parts of what was answered."""
    if isinstance(kind, Struct):
        return {place} | {
            one
            for name, inner in kind.fields.items()
            if value.get(name.removesuffix("?")) is not None
            for one in required(inner, value[name.removesuffix("?")], f"{place}.{name}")
        }
    if isinstance(kind, Array):
        return {place}.union(*(required(kind.of, one, f"{place}[]") for one in value[:1]))
    return {place} if kind in _OTHER else set()
