"""What is late, wrong or refused is so exactly as long as the plan says, on the market clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from swiftbolt_assets.simulator.config import SimulatorConfig
from swiftbolt_assets.simulator.server import SimulatorThread
from swiftbolt_assets.simulator.unreliable import Hour, Lapse, Unreliable, parse_unreliable

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST, LAST = "2026-11-04", "2026-11-06"
AFTERNOON = {"from": "2026-11-05T19:00:00Z", "to": "2026-11-05T21:00:00Z"}
BARS = ("t", "o", "h", "l", "c", "v", "vw", "n")
NAMES = ("ts", "open", "high", "low", "close", "volume", "vwap", "n")


class Provider:
    """A simulator whose market clock the test moves."""

    def __init__(self, unreliable: Unreliable | None = None) -> None:
        self.now = datetime(2026, 11, 10, 22, tzinfo=UTC)
        config = SimulatorConfig(now=lambda: self.now, tradier_allowed=0, unreliable=unreliable)
        self.thread = SimulatorThread(config).start()
        self.http = httpx.Client(
            base_url=self.thread.polygon_url,
            headers={"Authorization": "Bearer any", "Accept": "application/json"},
            trust_env=False,
        )

    def plan(self, **parts: object) -> None:
        reply = self.http.put("/simulator/unreliable", json=parts)
        assert reply.status_code == 200, reply.text

    def reply(self, symbol: str = "AAPL", span: str = "15/minute") -> httpx.Response:
        params = {"adjusted": "false", "limit": 50000}
        return self.http.get(f"/v2/aggs/ticker/{symbol}/range/{span}/{FIRST}/{LAST}", params=params)

    def bars(self, symbol: str = "AAPL") -> dict[str, tuple[Any, ...]]:
        """Return the regular bars of an answer by their start."""
        found = {}
        for row in self.reply(symbol).json()["results"]:
            at = datetime.fromtimestamp(row["t"] / 1000, UTC)
            if (14, 30) <= (at.hour, at.minute) < (21, 0):
                text = f"{at:%Y-%m-%dT%H:%M:%SZ}"
                found[text] = (text, *(row.get(key) for key in BARS[1:]))
        return found

    def truth(self, symbol: str = "AAPL", **at: str) -> dict[str, tuple[Any, ...]]:
        reply = self.http.get(
            f"/simulator/truth/{symbol}/m15", params={"from": FIRST, "to": LAST, **at}
        )
        return {row["ts"]: tuple(row[name] for name in NAMES) for row in reply.json()}


@pytest.fixture
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.http.close()
    running.thread.stop()


def test_a_lapse_is_left_out_of_every_answer_until_it_is_delivered(provider: Provider) -> None:
    whole = provider.bars()
    until = provider.now + timedelta(days=2)
    lapse = {**AFTERNOON, "symbols": ["AAPL"], "until": until.isoformat()}
    provider.plan(lapses=[lapse])
    assert sorted(whole.keys() - provider.bars().keys()) == [
        f"2026-11-05T{hour}:{minute}:00Z"
        for hour in (19, 20)
        for minute in ("00", "15", "30", "45")
    ]
    assert len(provider.bars("MSFT")) == len(whole)
    daily = provider.reply(span="1/day").json()["results"]
    provider.now = until
    assert provider.bars() == whole
    assert provider.reply(span="1/day").json()["results"][1]["v"] > daily[1]["v"]


def test_a_lapse_without_an_end_is_not_in_the_last_word(provider: Provider) -> None:
    provider.plan(lapses=[{"from": "2026-11-04T05:00:00Z", "to": "2026-11-05T05:00:00Z"}])
    assert {at[:10] for at in provider.truth()} == {"2026-11-05", "2026-11-06"}
    assert provider.bars() == provider.truth()


def test_a_correction_is_wrong_the_same_way_in_every_answer_and_then_right(
    provider: Provider,
) -> None:
    right = provider.bars()
    until = provider.now + timedelta(hours=1)
    correction = {**AFTERNOON, "until": until.isoformat(), "prices": 0.02}
    provider.plan(seed=3, corrections=[correction])
    wrong = provider.bars()
    differ = [at for at, bar in wrong.items() if bar != right[at]]
    assert (wrong.keys(), len(differ)) == (right.keys(), 8)
    assert all(at >= "2026-11-05T19" for at in differ)
    for _, o, h, low, c, *_ in wrong.values():
        assert low <= min(o, c) <= max(o, c) <= h
    assert provider.bars() == wrong
    provider.plan(seed=4, corrections=[correction])
    assert provider.bars() != wrong
    assert provider.truth() == right
    provider.now = until
    assert provider.bars() == right


def test_a_high_that_is_far_off_is_the_only_thing_wrong(provider: Provider) -> None:
    right = provider.bars()
    high = {"prices": 0, "volume": 0, "high": 100}
    minute = {"from": "2026-11-05T19:03:00Z", "to": "2026-11-05T19:04:00Z"}
    provider.plan(corrections=[{**minute, "until": "2026-12-01T00:00:00Z", **high}])
    ((at, bar),) = [(at, bar) for at, bar in provider.bars().items() if bar != right[at]]
    assert at == "2026-11-05T19:00:00Z"
    assert bar[2] > 90 * right[at][2]


def test_truth_is_the_last_word_or_what_is_delivered_at_an_instant(provider: Provider) -> None:
    right = provider.truth()
    lapse = {**AFTERNOON, "until": "2026-11-09T12:00:00Z"}
    correction = {"from": "2026-11-06T15:00:00Z", "to": "2026-11-06T16:00:00Z"}
    provider.plan(lapses=[lapse], corrections=[{**correction, "until": "2026-11-08T00:00:00Z"}])
    assert provider.truth() == right
    for day, hour in ((7, 12), (8, 12), (9, 11), (9, 12)):
        provider.now = datetime(2026, 11, day, hour, tzinfo=UTC)
        delivered = provider.bars()
        provider.now = datetime(2026, 11, 10, 22, tzinfo=UTC)
        assert provider.truth(at=f"2026-11-{day:02d}T{hour}:00:00Z") == delivered
    assert delivered == right


@pytest.mark.parametrize(
    ("kind", "status", "word"),
    [
        ("400", 400, "The parameter 'to' cannot be a time that occurs before 'from'"),
        ("403", 403, "You are not entitled"),
        ("429", 429, "exceeded the maximum requests"),
        ("500", 500, "Internal server error"),
        ("502", 502, "Bad Gateway"),
        ("empty", 200, '"resultsCount":0'),
    ],
)
def test_in_a_bad_hour_every_answer_is_of_its_kind(
    provider: Provider, kind: str, status: int, word: str
) -> None:
    ends = provider.now + timedelta(hours=1)
    hour = {"from": provider.now.isoformat(), "to": ends.isoformat(), "kind": kind}
    provider.plan(hours=[{**hour, "symbols": ["AAPL", "ZZTOP"]}])
    for symbol in ("AAPL", "ZZTOP", "AAPL"):
        reply = provider.reply(symbol)
        assert reply.status_code == status
        assert word in reply.text
        assert '"results":' not in reply.text
        assert "retry-after" not in reply.headers
    assert provider.bars("MSFT")
    assert [one["fault"] for one in provider.http.get("/simulator/requests").json()] == [
        *(3 * [kind]),
        None,
    ]
    assert provider.http.get("/v1/marketstatus/now").status_code == 200
    provider.now = ends
    assert provider.bars()


def test_in_an_hour_of_drops_no_answer_is_whole(provider: Provider) -> None:
    hour = {"from": "2026-11-10T00:00:00Z", "to": "2026-11-11T00:00:00Z", "kind": "drop"}
    provider.plan(hours=[hour])
    for _ in range(4):
        with pytest.raises(httpx.TransportError):
            provider.reply()


def test_today_of_tradier_stays_right(provider: Provider) -> None:
    window = {"symbol": "AAPL", "interval": "15min", "start": "2026-11-09", "end": "2026-11-10"}
    right = provider.http.get("/v1/markets/timesales", params=window).text
    week = {"from": "2026-11-04T00:00:00Z", "to": "2026-11-12T00:00:00Z"}
    provider.plan(lapses=[week], corrections=[week], hours=[{**week, "kind": "500"}])
    assert provider.http.get("/v1/markets/timesales", params=window).text == right


def test_a_plan_is_read_back_as_it_was_sent_and_ends(provider: Provider) -> None:
    at = {"from": "2026-11-04T00:00:00+00:00", "to": "2026-11-05T00:00:00+00:00"}
    plan = {
        "seed": 9,
        "lapses": [{**at, "symbols": ["AAPL", "MSFT"], "until": None}],
        "corrections": [
            {**at, "symbols": None, "until": at["to"], "prices": 0.1, "volume": 0.0, "high": 2.0}
        ],
        "hours": [{**at, "symbols": None, "kind": "429"}],
    }
    provider.plan(**plan)
    assert provider.http.get("/simulator/unreliable").json() == plan
    nothing = {"seed": 1, "lapses": [], "corrections": [], "hours": []}
    assert provider.http.delete("/simulator/unreliable").json() == nothing


def test_a_plan_may_be_given_at_the_start() -> None:
    at = datetime(2026, 11, 5, tzinfo=UTC)
    week = at, at + timedelta(days=7)
    running = Provider(Unreliable(lapses=(Lapse(*week),), hours=(Hour(*week, frozenset(["B"])),)))
    assert {at[:10] for at in running.bars()} == {"2026-11-04"}
    assert running.reply("B").status_code == 500
    running.http.close()
    running.thread.stop()


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ([], "unreliable: "),
        ({"lapse": []}, "lapse: "),
        ({"seed": "a"}, "seed: "),
        ({"lapses": {}}, "lapses: "),
        ({"lapses": [{"to": "2026-11-05T00:00:00Z"}]}, "lapses: from: "),
        ({"lapses": [{**AFTERNOON, "from": "2026-11-05T19:00:00"}]}, "lapses: from: "),
        ({"lapses": [{**AFTERNOON, "until": "soon"}]}, "lapses: until: "),
        ({"lapses": [{**AFTERNOON, "symbols": "AAPL"}]}, "lapses: symbols: "),
        ({"corrections": [{**AFTERNOON, "prices": -1}]}, "corrections: prices: "),
        ({"hours": [{**AFTERNOON, "kind": "418"}]}, "hours: kind: "),
        ({"hours": [{**AFTERNOON, "kind": "500", "until": None}]}, "hours: until "),
    ],
)
def test_a_wrong_plan_is_refused_and_named_and_the_old_one_stays(
    provider: Provider, plan: object, told: str
) -> None:
    provider.plan(hours=[{**AFTERNOON, "kind": "500"}])
    before = provider.http.get("/simulator/unreliable").json()
    reply = provider.http.put("/simulator/unreliable", json=plan)
    assert reply.status_code == 400
    assert reply.json()["error"].startswith(told)
    assert provider.http.get("/simulator/unreliable").json() == before


def test_a_plan_in_process_is_the_one_that_json_describes() -> None:
    at = datetime(2026, 11, 5, tzinfo=UTC)
    told = {"from": f"{at:%Y-%m-%dT%H:%M:%SZ}", "to": f"{at + timedelta(1):%Y-%m-%dT%H:%M:%SZ}"}
    parsed = parse_unreliable({"lapses": [told]})
    assert parsed == Unreliable(lapses=(Lapse(at, at + timedelta(1)),))
