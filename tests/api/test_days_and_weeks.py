"""Daily and weekly bars over HTTP, held against a slow reference that knows no SQL.

Two years of random quarter hours: both clock changes, half days, holidays, a week over the new
year, splits amid a week, a session without bars, one that begins late, and today still forming.
"""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import io
import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from resources.bars.session_write import SessionsWrite
from resources.bars.store import BarStore
from swiftbolt_assets.market.bars import BAR_SCHEMA
from swiftbolt_assets.market.coverage import SessionCoverage, State
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import REJECT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TODAY = date(2026, 11, 20)
FIRST = date(2024, 11, 1)
#: Without a bar, and without its first hour: a Monday and a Tuesday.
SILENT, LATE = date(2025, 6, 23), date(2025, 8, 12)
SPLITS = ((date(2025, 3, 5), 1, 10), (date(2026, 6, 17), 3, 2))
NEW_YORK = ZoneInfo("America/New_York")
ARROW = {"Accept": "application/vnd.apache.arrow.stream"}
SHOWN = ("ts", "open", "high", "low", "close", "volume", "provider", "data_status")


@dataclass(frozen=True)
class Quarter:
    """A stored bar of 15 minutes."""

    ts: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    provider: str = "polygon"
    data_status: str = "verified"

    @property
    def day(self) -> date:
        return self.ts.astimezone(NEW_YORK).date()


def walk(days: Iterable[date]) -> list[Quarter]:
    """Return random quarter hours of sessions."""
    dice = random.Random(7)  # noqa: S311 - prices
    price, found = 100.0, []
    for day in days:
        session = xnys().session(day)
        assert session is not None
        starts = session.slot_starts()
        for ts in [] if day == SILENT else starts[4:] if day == LATE else starts:
            close = round(price * dice.uniform(0.99, 1.01), 2)
            low, high = min(price, close), max(price, close)
            bar = (price, round(high * 1.001, 4), round(low * 0.999, 4), close)
            found.append(Quarter(ts, *bar, float(dice.randint(1, 10**6))))
            price = close
    return found


def folded(bars: Sequence[Quarter]) -> list[Quarter]:
    """Return bars at today's shares, as a person would with a pencil."""
    found = []
    for bar in bars:
        factor = 1.0
        for day, before, after in SPLITS:
            if bar.day < day:
                factor *= before / after
        prices = (bar.open * factor, bar.high * factor, bar.low * factor, bar.close * factor)
        found.append(Quarter(bar.ts, *prices, bar.volume / factor, bar.provider, bar.data_status))
    return found


def reference(bars: Sequence[Quarter], timeframe: str) -> list[dict[str, Any]]:
    """Return days or weeks of folded quarter hours, by dictionaries and loops."""
    spans: dict[date, list[Quarter]] = defaultdict(list)
    for bar in bars:
        monday = bar.day - timedelta(days=bar.day.weekday())
        spans[bar.day if timeframe == "d1" else monday].append(bar)
    found = []
    for _, members in sorted(spans.items()):
        states = {bar.data_status for bar in members}
        found.append(
            {
                "ts": f"{members[0].ts:%Y-%m-%dT%H:%M:%SZ}",
                "open": pytest.approx(members[0].open, rel=1e-12),
                "high": pytest.approx(max(bar.high for bar in members), rel=1e-12),
                "low": pytest.approx(min(bar.low for bar in members), rel=1e-12),
                "close": pytest.approx(members[-1].close, rel=1e-12),
                "volume": pytest.approx(sum(bar.volume for bar in members), rel=1e-12),
                "provider": members[-1].provider,
                "data_status": next(s for s in ("provisional", "live", "verified") if s in states),
            }
        )
    return found


@dataclass
class Stored:
    """The served API, and what it stores."""

    api: Any
    bars: list[Quarter]

    def chart(self, timeframe: str, **more: Any) -> dict[str, Any]:
        body = {"symbol": "AAPL", "timeframe": timeframe, "days": 760} | more
        reply = self.api.post("chart-data-v2", body)
        assert reply.status == 200, reply.body
        found: dict[str, Any] = reply.json
        return found

    def drawn(self, timeframe: str, **more: Any) -> list[dict[str, Any]]:
        """Return the bars of all layers, ascending."""
        return in_one(self.chart(timeframe, **more))

    def expected(self, timeframe: str) -> list[dict[str, Any]]:
        return reference(folded(self.bars), timeframe)


def in_one(chart: dict[str, Any]) -> list[dict[str, Any]]:
    bars = [bar for layer in chart["layers"].values() for bar in layer["data"]]
    return sorted(bars, key=lambda bar: datetime.fromisoformat(bar["ts"]))


def shown(bars: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: bar[name] for name in SHOWN} for bar in bars]


@pytest.fixture(scope="module")
def stored(module_api: Any) -> Stored:
    """Serve two years of AAPL: history, a late Tradier's yesterday, and today's first bars."""
    api = module_api
    api.clear()
    api.sql("insert into symbols (ticker) values ('AAPL')")
    ((symbol_id,),) = api.sql("select id from symbols where ticker = 'AAPL'")
    sessions = xnys().between(FIRST, TODAY - timedelta(days=1))
    bars = walk(session.day for session in sessions)
    frame = pl.DataFrame(
        [(b.ts, b.open, b.high, b.low, b.close, b.volume, None, None) for b in bars],
        schema=BAR_SCHEMA,
        orient="row",
    )
    store = BarStore(api.database)
    store.write(
        SessionsWrite(
            symbol_id=symbol_id,
            provider="polygon",
            opens=sessions[0].opens,
            closes=sessions[-1].closes,
            bars={Timeframe.M15: frame}
            | {one: resample(frame, sessions, one) for one in (Timeframe.H1, Timeframe.H4)},
            forming=None,
            coverage=[
                SessionCoverage(s.day, State.FINAL, None, s.slots, s.slots, 1)
                for s in sessions
                if s.day not in {SILENT, LATE}
            ],
            rejects=pl.DataFrame(schema=REJECT_SCHEMA),
            request_id="a-request",
        )
    )
    store.close()
    for day, before, after in SPLITS:
        api.sql(
            "insert into splits (symbol_id, execution_date, split_from, split_to)"
            " values (%s, %s, %s, %s)",
            symbol_id,
            day,
            before,
            after,
        )
    live = [
        Quarter(ts, 50.0, 51.0 + n, 49.0, 50.5 + n, 1000.0, "tradier", "live")
        for n, ts in enumerate((xnys().session(TODAY) or sessions[0]).slot_starts()[:9])
    ]
    live[-1] = Quarter(live[-1].ts, 50.0, 58.0, 40.0, 41.0, 3.0, "tradier", "provisional")
    # Yesterday's were replaced by Polygon's: a bar of both providers at each of its starts.
    yesterday = [Quarter(b.ts, 1.0, 2.0, 0.5, 1.5, 1.0, "tradier", "live") for b in bars[-26:]]
    for bar in (*yesterday, *live):
        api.sql(
            "set session_replication_role = replica; insert into ohlc_bars_v2 (symbol_id,"
            " timeframe, ts, provider, is_intraday, open, high, low, close, volume, data_status)"
            f" values ('{symbol_id}', 'm15', '{bar.ts.isoformat()}', 'tradier', true, {bar.open},"
            f" {bar.high}, {bar.low}, {bar.close}, {bar.volume}, '{bar.data_status}')"
        )
    for timeframe, ts in (("d1", "2026-11-23"), ("d1", "2026-11-24"), ("w1", "2026-11-23")):
        api.sql(
            "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, is_forecast, close,"
            f" upper_band, lower_band, confidence_score) values ('{symbol_id}', '{timeframe}',"
            f" '{ts}T14:30:00Z', 'ml_forecast', true, 60, 70, 50, 0.5)"
        )
    return Stored(api, bars + live)


@pytest.mark.parametrize("timeframe", ["d1", "w1"])
def test_every_day_and_week_equals_the_reference(stored: Stored, timeframe: str) -> None:
    assert shown(stored.drawn(timeframe, includeForecast=False)) == stored.expected(timeframe)


def test_the_reference_holds_what_is_difficult(stored: Stored) -> None:
    """An answer book of dates, so that the comparison cannot be empty of them."""
    days = {bar["ts"]: bar for bar in stored.drawn("d1", includeForecast=False)}
    weeks = [bar["ts"] for bar in stored.drawn("w1", includeForecast=False)]
    assert {"2025-11-28T14:30:00Z", "2025-12-24T14:30:00Z", "2025-07-03T13:30:00Z"} <= set(days)
    assert "2025-01-09T14:30:00Z" not in days
    assert "2025-06-23T13:30:00Z" not in days
    assert "2025-08-12T14:30:00Z" in days
    # Winter and summer; Labor Day, a silent Monday, Presidents' Day; the week over the new year.
    assert {
        "2026-01-05T14:30:00Z", "2026-07-06T13:30:00Z", "2025-09-02T13:30:00Z",
        "2025-06-24T13:30:00Z", "2026-02-17T14:30:00Z", "2025-12-29T14:30:00Z",
    } <= set(weeks)  # fmt: skip
    assert not [ts for ts in weeks if ts.startswith(("2026-01-01", "2026-01-02"))]
    today = days["2026-11-20T14:30:00Z"]
    assert (today["open"], today["close"], today["low"]) == (50.0, 41.0, 40.0)
    assert (today["volume"], today["data_status"]) == (8003.0, "provisional")


def test_a_half_day_has_fourteen_quarter_hours(stored: Stored) -> None:
    bars = stored.drawn("m15", start="2025-11-28T05:00:00Z", end="2025-11-29T04:59:59Z")
    (day,) = stored.drawn("d1", start="2025-11-28T05:00:00Z", end="2025-11-29T04:59:59Z")
    assert len(bars) == 14
    assert day["volume"] == pytest.approx(sum(bar["volume"] for bar in bars))
    assert (day["open"], day["close"]) == (bars[0]["open"], bars[-1]["close"])


@pytest.mark.parametrize("timeframe", ["d1", "w1"])
def test_days_and_weeks_may_be_as_traded(stored: Stored, timeframe: str) -> None:
    expected = reference(stored.bars, timeframe)
    assert shown(stored.drawn(timeframe, includeForecast=False, adjusted=False)) == expected


@pytest.mark.parametrize("timeframe", ["d1", "w1"])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        # Amid a session, at an open, a second before one, at midnight in New York, on a weekend.
        ("2026-03-04T16:00:00Z", "2026-03-12T15:00:00Z"),
        ("2026-03-05T14:30:00Z", "2026-03-05T14:30:00Z"),
        ("2025-10-15T13:30:00Z", "2025-11-05T14:29:59Z"),
        ("2025-10-15T04:00:00Z", "2025-10-20T04:00:00Z"),
        ("2026-01-03T12:00:00Z", "2026-01-11T12:00:00Z"),
        ("2025-12-30T20:00:00Z", "2026-01-02T20:00:00Z"),
        ("2026-11-18T20:00:00Z", "2026-11-20T15:00:00Z"),
        ("2026-01-03T12:00:00Z", "2026-01-04T12:00:00Z"),
    ],
)
def test_a_range_holds_whole_days_and_weeks_that_begin_in_it(
    stored: Stored, timeframe: str, start: str, end: str
) -> None:
    """A day cut in two would be another day: an open or a close that nobody traded at."""
    day = datetime.fromisoformat(start).astimezone(NEW_YORK).date()
    first = day - timedelta(days=day.weekday()) if timeframe == "w1" else day
    begin = f"{datetime.combine(first, time(), NEW_YORK).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    expected = [bar for bar in stored.expected(timeframe) if begin <= bar["ts"] <= end]
    assert shown(stored.drawn(timeframe, start=start, end=end)) == expected


@pytest.mark.parametrize("timeframe", ["m15", "h1", "h4", "d1", "w1"])
def test_pages_hold_the_whole_history_without_gap_or_double(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, timeframe: str
) -> None:
    """`older_before` is the next page's `end` as it stands; a timestamp of two providers is one."""
    whole = stored.drawn(timeframe)
    most = max(len(whole) // 7, 10)
    monkeypatch.setattr("resources.bars.chart.MOST", most)
    seen: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    while True:
        page = stored.chart(timeframe, **more)
        bars = in_one(page)
        assert page["metadata"]["total_bars"] == len(bars) <= most
        seen = bars + seen
        older = page["metadata"]["older_before"]
        if older is None:
            break
        assert len(bars) == most
        more = {"start": page["metadata"]["start_date"], "end": older}
    assert seen == whole


@pytest.mark.parametrize("timeframe", ["m15", "h1", "h4", "d1", "w1"])
def test_arrow_and_json_say_the_same(stored: Stored, timeframe: str) -> None:
    body = {"symbol": "AAPL", "timeframe": timeframe, "days": 760}
    reply = stored.api.post("chart-data-v2", body, headers=ARROW)
    assert reply.status == 200
    frame = pl.read_ipc_stream(io.BytesIO(reply.body))
    rows = frame.with_columns(pl.col("ts").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).to_dicts()
    assert rows == stored.drawn(timeframe)


def test_the_forecast_of_days_and_weeks_is_its_own_layer(stored: Stored) -> None:
    days, weeks = stored.chart("d1")["layers"], stored.chart("w1")["layers"]
    assert [bar["ts"][:10] for bar in days["forecast"]["data"]] == ["2026-11-23", "2026-11-24"]
    assert [bar["ts"][:10] for bar in weeks["forecast"]["data"]] == ["2026-11-23"]
    assert days["forecast"]["data"][0]["upper_band"] == 70.0
    assert weeks["historical"]["newestBar"] == "2026-11-16T14:30:00Z"
