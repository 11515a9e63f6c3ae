"""Thirty days of fifty symbols, undisturbed and with an unreliable provider.

The market clock is stepped (`rehearsal/`): planner, claims, filler, live rounds, certificates and
retention are the product's own, over HTTP against a simulator whose clock follows. The first run
shows what days leave behind, and what they ask for; a wrong outcome ends it. The second one, of a
stated seed, shows whether all comes right in the end: the bars, what certificates said on the way,
and what it cost. Both go on for three weeks, in which nothing new goes wrong, so that what was late
on the last day is asked for; what that costs counts, against the requests of the thirty days alone.
What takes real time between two days is made by hand: autovacuum's work, and the age of audit rows.

What belongs here: what is measured. What does not: the days, what goes wrong in them, and the
comparison (`rehearsal/`), what a refresh costs (`refreshing.py`).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from results import Group, Line

from rehearsal.days import PER_MINUTE, Days
from rehearsal.scenario import Scenario
from rehearsal.verdict import Verdict, judge
from resources.platform.retention import Retention
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.policy.storage_growth import bytes_a_session

if TYPE_CHECKING:
    from server import Server

    from swiftbolt_assets.simulator.unreliable import Unreliable

THIN = "THIN"
DAYS = 30
SCENARIO = Scenario(
    symbols=(*(f"DAY{a}{b}" for a in "ABCDEFG" for b in "ABCDEFG"), THIN),
    first=date(2025, 10, 13),
    disturbed=DAYS,
    days=DAYS + 22,
    seed=12,
    chance=0.08,
    latest=10,
    thin=frozenset({THIN}),
)
GROWTH_TARGET = 0.20
REQUESTS_TARGET = 1.3
#: The first sessions' live requests are pruned from here on: as many go as come.
_STEADY = 7
_TOLD = 100
_AGED = (
    "update provider_requests set sent_at = %s where sent_at > %s",
    "update job_runs set finished_at = %s where finished_at > %s",
)
_VACUUMED = (
    "ohlc_bars_v2", "session_coverage", "job_runs", "provider_requests", "live_refreshes",
    "coverage_status", "symbol_plans",
)  # fmt: skip


@dataclass
class Lived:
    """Days that are over.

    Attributes:
        days: the installation that lived through them.
        sizes: bytes of the database after each session of the thirty days.
        seconds: that it took.
        verdict: what is not as it should be.

    """

    days: Days
    sizes: list[int] = field(default_factory=list)
    seconds: float = 0.0
    verdict: Verdict = field(default_factory=lambda: Verdict([], [], []))

    @property
    def requests(self) -> int:
        """Return the requests for history, those of the first fill left out."""
        return self.days.requests - self.days.first_fill


def measure(server: Server) -> list[Group]:
    """Return the groups of both runs."""
    right = _live(server, None)
    return [_undisturbed(right), _unreliable(right, _live(server, SCENARIO.unreliable()))]


def _live(server: Server, unreliable: Unreliable | None) -> Lived:
    """Live through all days in a database of their own."""
    with server.database() as database:
        home = server.home / "month"
        days = Days(SCENARIO, database.url, home, unreliable, certify=2 if unreliable else 0)
        lived = Lived(days)
        began = time.perf_counter()
        with days.simulator:
            night = datetime.now(UTC)
            for day in days.live():
                _keep_house(lived, day, night)
                night = datetime.now(UTC)
            lived.seconds = time.perf_counter() - began
            lived.verdict = judge(days)
            if unreliable is None:
                _verify(days)
    return lived


def _keep_house(lived: Lived, day: date, since: datetime) -> None:
    """Do what time does between two days."""
    days = lived.days
    for statement in _AGED:
        days.rows(statement, days.now, since)
    Retention(days.database).prune(days.now, timedelta(days=30))
    if xnys().session(day) is None or len(days.nights) > DAYS:
        return
    with days.database.connect() as connection:
        for table in _VACUUMED:
            connection.execute(f"vacuum (analyze) {table}".encode())
    lived.sizes.append(int(days.rows("select pg_database_size(current_database())")[0][0]))


def _verify(days: Days) -> None:
    """Hold the database, and what was asked, against what undisturbed days should leave."""
    *past, last = SCENARIO.sessions(SCENARIO.days)
    finalized = days.rows(
        "select distinct on (n) count(*) as n from finalizations f"
        " join symbols s on s.id = f.symbol_id where s.ticker <> %s group by f.symbol_id",
        THIN,
    )
    assert finalized == [(len(past),)], "a live day is not replaced"
    live = days.rows(
        "select distinct (ts at time zone 'America/New_York')::date from ohlc_bars_v2"
        " where provider = 'tradier'"
    )
    assert live == [(last.day,)], "live bars outlast their day"
    asked = Counter(
        (one["provider"], unquote(one["path"].split("/")[4]))
        if one["provider"] == "polygon"
        else (one["provider"], "")
        for one in days.call("/simulator/requests")
    )
    # One a symbol for its first days, one a night; who falls silent is asked for again.
    wrong = {
        name: n
        for (provider, name), n in asked.items()
        if provider == "polygon" and n != 1 + len(past) and name != THIN
    }
    assert not wrong, f"something is asked for in vain: {wrong}"
    assert asked["tradier", ""] == len(SCENARIO.symbols) * (len(past) + 1), "a close is left out"


def _undisturbed(lived: Lived) -> Group:
    assert lived.verdict == Verdict([], [], []), lived.verdict
    steady = lived.sizes[_STEADY - 1 :]
    grown = (steady[-1] - steady[0]) / (len(steady) - 1)
    predicted = bytes_a_session(len(SCENARIO.symbols), until_pruned=True)
    off = grown / predicted - 1
    group = Group(
        f"{DAYS} simulated days of {len(SCENARIO.symbols)} symbols, {len(lived.sizes)} sessions"
    )
    group.lines = [
        Line(
            "growth of the bars' database a session",
            f"{grown / 1e6:.2f} MB",
            f"predicted {predicted / 1e6:.2f} MB",
            ratio=f"{off:+.0%}",
            target=f"within {GROWTH_TARGET:.0%}",
            reached=abs(off) <= GROWTH_TARGET,
        ),
        Line("requests, none for what is covered", f"{_in_month(lived):,}"),
        Line("all sessions final, all days, after", f"{lived.seconds:.0f} s"),
    ]
    group.data = {
        "sizes": lived.sizes,
        "grown_a_session": grown,
        "predicted_a_session": predicted,
        "requests": _in_month(lived),
        "seconds": round(lived.seconds, 1),
    }
    return group


def _unreliable(right: Lived, lived: Lived) -> Group:
    days, verdict, plan = lived.days, lived.verdict, lived.days.unreliable
    assert plan is not None
    assert days.busiest_minute <= PER_MINUTE, f"{days.busiest_minute} requests in a minute"
    base, extra = _in_month(right), lived.requests - right.requests
    ratio = (base + extra) / base
    group = Group(
        f"the same with an unreliable provider, seed {SCENARIO.seed}: {len(plan.hours)} bad hours,"
        f" {len(plan.lapses)} lapses, {len(plan.corrections)} corrections"
    )
    wrong = {
        "bars that differ from the provider's last word": verdict.bars,
        "sessions that are not settled": verdict.sessions,
        f"of {days.certificates:,} certificates: sessions of which they say what is not so": (
            verdict.claims
        ),
        "certificates that contradict the ones before": days.complaints,
    }
    group.lines = [
        Line(what, f"{len(found):,}", target="0", reached=not found)
        for what, found in wrong.items()
    ]
    group.lines += [
        Line(
            "requests, first fill left out",
            f"{base + extra:,}",
            f"undisturbed {base:,}",
            ratio=f"{ratio:.2f}x",
            target=f"<= {REQUESTS_TARGET}x",
            reached=ratio <= REQUESTS_TARGET,
        ),
        Line("all days, after", f"{lived.seconds:.0f} s", f"{days.refused:,} not certified yet"),
    ]
    group.data = {
        "wrong": {what: found[:_TOLD] for what, found in wrong.items()},
        "requests": {"undisturbed": base, "unreliable": base + extra, "ratio": ratio},
        "extra_requests": _extra(right.days, days),
        "seconds": round(lived.seconds, 1),
    }
    return group


def _in_month(lived: Lived) -> int:
    """Return the requests of the thirty days."""
    return lived.days.nights[DAYS - 1] - lived.days.first_fill


def _extra(right: Days, days: Days) -> list[dict[str, Any]]:
    """Return what each day cost more than an undisturbed one, beside its bad hour."""
    assert days.unreliable is not None
    hours = {hour.starts.date(): hour for hour in days.unreliable.hours}
    found = []
    for number in range(SCENARIO.days):
        day = SCENARIO.first + timedelta(days=number)
        one, other = (lived.nights[max(0, number - 1) : number + 1] for lived in (days, right))
        hour = hours.get(day)
        told = f"{hour.kind} from {hour.starts:%H:%M}" if hour else "none"
        found.append(
            {"day": f"{day}", "hour": told, "extra": one[-1] - one[0] - other[-1] + other[0]}
        )
    return found
