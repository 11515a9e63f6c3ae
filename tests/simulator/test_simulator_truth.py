"""The truth against the wire, and its shape."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest

from swiftbolt_assets.clock import new_york_date
from swiftbolt_assets.simulator.calendar import REGULAR_OPEN, session

if TYPE_CHECKING:
    import httpx


def truth(api: httpx.Client, symbol: str, timeframe: str, first: str, last: str) -> list[Any]:
    reply = api.get(f"/simulator/truth/{symbol}/{timeframe}", params={"from": first, "to": last})
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize(
    ("day", "counts"),
    [
        ("2025-11-26", (26, 7, 2)),
        ("2025-11-28", (14, 4, 1)),
        ("2024-11-29", (14, 4, 1)),
        ("2024-12-24", (14, 4, 1)),
        ("2025-07-03", (14, 4, 1)),
        ("2025-01-09", (0, 0, 0)),
        ("2026-03-06", (26, 7, 2)),
        ("2026-03-09", (26, 7, 2)),
    ],
)
def test_a_full_day_has_26_7_2_bars_and_a_half_day_14_4_1(
    api: httpx.Client, day: str, counts: tuple[int, int, int]
) -> None:
    found = tuple(len(truth(api, "AAPL", name, day, day)) for name in ("m15", "h1", "h4"))
    assert found == counts


def test_buckets_start_at_the_open_in_summer_and_winter(api: httpx.Client) -> None:
    for day, starts in (
        ("2025-07-01", ["2025-07-01T13:30:00Z", "2025-07-01T17:30:00Z"]),
        ("2025-12-01", ["2025-12-01T14:30:00Z", "2025-12-01T18:30:00Z"]),
    ):
        assert [row["ts"] for row in truth(api, "AAPL", "h4", day, day)] == starts


@pytest.mark.parametrize("symbol", ["AAPL", "THIN", "BRK.B", "HALT", "SPLT"])
def test_15_minute_truth_equals_the_regular_bars_of_the_wire_to_the_last_digit(
    api: httpx.Client, symbol: str
) -> None:
    first, last = "2026-02-20", "2026-03-12"
    reply = api.get(
        f"/v2/aggs/ticker/{symbol}/range/15/minute/{first}/{last}",
        params={"limit": 50000, "adjusted": "false"},
    )
    wire = []
    for row in reply.json()["results"]:
        start = datetime.fromtimestamp(row["t"] / 1000, UTC)
        found = session(new_york_date(start))
        assert found is not None
        if found.at(REGULAR_OPEN) <= row["t"] < found.at(found.closes):
            wire.append(
                {
                    "ts": start.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "open": row["o"],
                    "high": row["h"],
                    "low": row["l"],
                    "close": row["c"],
                    "volume": row["v"],
                    "vwap": row.get("vw"),
                    "n": row.get("n"),
                }
            )
    assert truth(api, symbol, "m15", first, last) == wire


@pytest.mark.parametrize(("timeframe", "minutes"), [("h1", 60), ("h4", 240)])
@pytest.mark.parametrize("symbol", ["AAPL", "THIN", "HALT"])
def test_longer_bars_are_those_of_the_15_minute_bars_by_hand(
    api: httpx.Client, symbol: str, timeframe: str, minutes: int
) -> None:
    first, last = "2026-03-02", "2026-03-31"
    groups: dict[datetime, list[Any]] = {}
    for row in truth(api, symbol, "m15", first, last):
        start = datetime.fromisoformat(row["ts"])
        found = session(new_york_date(start))
        assert found is not None
        opens = found.at(REGULAR_OPEN) // 1000
        bucket = opens + (int(start.timestamp()) - opens) // (minutes * 60) * minutes * 60
        groups.setdefault(datetime.fromtimestamp(bucket, UTC), []).append(row)
    longer = truth(api, symbol, timeframe, first, last)
    assert [datetime.fromisoformat(row["ts"]) for row in longer] == list(groups)
    for row, parts in zip(longer, groups.values(), strict=True):
        told = [part for part in parts if part["vwap"] is not None]
        assert row["open"] == parts[0]["open"]
        assert row["close"] == parts[-1]["close"]
        assert row["high"] == max(part["high"] for part in parts)
        assert row["low"] == min(part["low"] for part in parts)
        assert row["volume"] == pytest.approx(sum(part["volume"] for part in parts), rel=1e-12)
        if not told:
            assert row["vwap"] is None
            assert row["n"] is None
            continue
        weight = sum(part["volume"] for part in told)
        mean = sum(part["vwap"] * part["volume"] for part in told) / weight
        assert row["vwap"] == pytest.approx(mean, rel=1e-12)
        assert row["n"] == sum(part["n"] for part in told)


def test_a_halted_quarter_hour_has_no_bar_and_a_halted_day_none(api: httpx.Client) -> None:
    assert len(truth(api, "HALT", "m15", "2026-03-11", "2026-03-11")) == 26 - 7
    assert truth(api, "HALT", "m15", "2026-09-16", "2026-09-16") == []
    assert truth(api, "ZZTOP", "m15", "2026-09-14", "2026-09-16") == []


def test_501_sessions_end_on_the_eve_of_the_stopped_clock(api: httpx.Client) -> None:
    rows = truth(api, "AAPL", "h4", "2024-11-20", "2026-11-19")
    days = {row["ts"][:10] for row in rows}
    assert len(days) == 501
    assert max(days) == f"{date(2026, 11, 19)}"


def test_wrong_controls_are_answered_with_the_field(api: httpx.Client) -> None:
    for path, field in (
        ("/simulator/truth/AAPL/m5?from=2026-01-02&to=2026-01-02", "timeframe"),
        ("/simulator/truth/AAPL/m15?to=2026-01-02", "from"),
        ("/simulator/truth/AAPL/m15?from=2026-01-02&to=soon", "to"),
    ):
        reply = api.get(path)
        assert reply.status_code == 400
        assert reply.json()["error"].startswith(f"{field}: ")
