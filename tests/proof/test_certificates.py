"""A certificate accounts for every quarter hour, and what is changed later is named."""

# ruff: noqa: ANN401 - the fixtures are classes of conftest.py, which tests cannot import

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from resources.bars.calendar_changes import CalendarBook
from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.market.announced import Change
from swiftbolt_assets.market.sessions import xnys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Evenings in New York, after the close.
IN_MARCH = datetime(2026, 3, 20, 21, 30, tzinfo=UTC)
IN_JULY = datetime(2025, 7, 11, 21, 30, tzinfo=UTC)
IN_NOVEMBER = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
FIRST, LAST = date(2026, 11, 9), date(2026, 11, 19)
BAR = "timeframe = %s::timeframe and ts = %s and not is_forecast"


@pytest.fixture
def aapl(notary: Callable[..., Any]) -> Any:
    """Give a notary with nine complete sessions of AAPL."""
    one = notary(IN_NOVEMBER)
    one.fill("AAPL", FIRST, LAST)
    return one


def assert_accounted(one: Any, certificate: dict[str, Any]) -> None:
    """Hold a certificate against the calendar and against what is stored."""
    first, last = (date.fromisoformat(certificate[end]) for end in ("first", "last"))
    sessions = xnys().between(first, last)
    assert [day["day"] for day in certificate["days"]] == [f"{s.day}" for s in sessions]
    assert certificate["sessions"] == len(sessions)
    assert certificate["quarter_hours"] == sum(session.slots for session in sessions)
    slots = "".join(day["slots"] for day in certificate["days"])
    assert len(slots) == certificate["quarter_hours"]
    assert "?" not in slots
    starts = [slot for session in sessions for slot in session.slot_starts()]
    symbol = certificate["symbol"]
    stored = one.rows(
        "select timeframe::text, ts from ohlc_bars_v2 b join symbols s on s.id = b.symbol_id"
        " where ticker = %s",
        symbol,
    )
    bars = {at for at, letter in zip(starts, slots, strict=True) if letter == "b"}
    assert bars == {ts for timeframe, ts in stored if timeframe == "m15"}
    for timeframe, count in certificate["bars"].items():
        assert count == sum(found == timeframe for found, _ in stored)
    without = sum(certificate["absent"].values()) + certificate["unconfirmed"]
    without += sum(certificate["unproven"].values())
    assert certificate["bars"]["m15"] + without == len(slots)


def test_a_complete_symbol_is_certified_with_its_bars_and_requests(aapl: Any) -> None:
    report = aapl.proof("AAPL")
    certificate = report["certificate"]
    assert report["result"] == "issued"
    assert_accounted(aapl, certificate)
    assert (certificate["first"], certificate["last"]) == (f"{FIRST}", f"{LAST}")
    assert certificate["bars"] == {"m15": 9 * 26, "h1": 9 * 7, "h4": 9 * 2}
    assert (certificate["absent"], certificate["rejected"]) == ({}, {})
    assert (certificate["providers"], certificate["simulated"]) == (["polygon"], True)
    known = aapl.rows("select request_id from provider_requests")
    assert certificate["requests"] == [row[0] for row in known]
    assert len(certificate["content_hash"]) == 64
    stored = aapl.rows("select content_hash, document ->> 'symbol', first_day from certificates")
    assert stored == [(certificate["content_hash"], "AAPL", FIRST)]


def test_it_is_printed_for_people(aapl: Any) -> None:
    text = aapl.prove("aapl")
    assert text.startswith("AAPL (simulated): certificate issued\n")
    assert "  window     2026-11-09 to 2026-11-19\n" in text
    assert "  bars       234 m15, 63 h1, 18 h4\n" in text
    assert "  in doubt   nothing\n" in text
    assert "  proven     234 of 234 quarter hours: 100.00% bar, 0.00% absent, 0.00% unconf" in text


def test_a_halt_is_accounted_for_when_others_traded_meanwhile(
    notary: Callable[..., Any],
) -> None:
    one = notary(IN_MARCH)
    one.fill("AAPL", date(2026, 3, 2), date(2026, 3, 19))
    one.fill("HALT", date(2026, 3, 2), date(2026, 3, 19))
    certificate = one.proof("HALT")["certificate"]
    assert_accounted(one, certificate)
    # 10:30 to 12:15 on the second Wednesday.
    assert certificate["absent"] == {"halted": 7}
    (day,) = [day for day in certificate["days"] if day["day"] == "2026-03-11"]
    assert day["slots"] == "b" * 4 + "h" * 7 + "b" * 15
    assert "  absent     7 halted (quarter hours)\n" in one.prove("HALT")


def test_a_day_without_any_trade_of_a_busy_symbol_is_in_doubt_and_not_proven(
    notary: Callable[..., Any],
) -> None:
    one = notary(IN_NOVEMBER)
    one.fill("HALT", date(2026, 9, 8), LAST)
    certificate = one.proof("HALT")["certificate"]
    assert_accounted(one, certificate)
    assert (certificate["absent"], certificate["unconfirmed"]) == ({}, 26)
    assert sum(certificate["shares"].values()) == pytest.approx(1)
    assert certificate["shares"]["unconfirmed"] == 26 / certificate["quarter_hours"]
    (day,) = [day for day in certificate["days"] if day["day"] == "2026-09-16"]
    assert day["slots"] == "u" * 26
    assert "  in doubt   26 unconfirmed, asked for again (quarter hours)\n" in one.prove("HALT")


def test_a_listing_inside_the_window_is_accounted_for(notary: Callable[..., Any]) -> None:
    one = notary(IN_JULY)
    first = date(2025, 5, 1)
    before = xnys().between(first, date(2025, 6, 15))
    slots = sum(session.slots for session in before)
    # It may be a lost beginning, until time has passed.
    for later, absent, doubted in [(0, {}, slots), (20, {"not_listed": slots}, 0)]:
        one.move(timedelta(days=later))
        one.fill("NEWCO", first, one.today - timedelta(days=1))
        certificate = one.proof("NEWCO")["certificate"]
        assert_accounted(one, certificate)
        assert (certificate["absent"], certificate["unconfirmed"]) == (absent, doubted)
        mark = "l" if absent else "u"
        assert {day["slots"] for day in certificate["days"][: len(before)]} == {mark * 26}


def test_an_illiquid_symbol_is_accounted_for(notary: Callable[..., Any]) -> None:
    one = notary(IN_NOVEMBER)
    one.fill("THIN", date(2026, 8, 3), LAST)
    certificate = one.proof("THIN")["certificate"]
    assert_accounted(one, certificate)
    assert set(certificate["absent"]) == {"no_trade"}
    assert certificate["absent"]["no_trade"] > 100
    assert "n" * 26 in {day["slots"] for day in certificate["days"]}


def test_bad_bars_are_accounted_for_by_their_rule(notary: Callable[..., Any]) -> None:
    one = notary(IN_NOVEMBER)
    one.spoil(kinds=["nan"])
    one.fill("AAPL", date(2026, 10, 1), LAST)
    certificate = one.proof("AAPL")["certificate"]
    assert_accounted(one, certificate)
    rejected = dict(one.rows("select rule, count(*) from rejected_bars group by 1"))
    assert certificate["rejected"] == rejected
    assert set(rejected) == {"open_missing"}


@pytest.mark.parametrize(
    ("reason", "share"),
    [("rejected", "rejected"), ("provider_empty", "unserved"), ("plan_cut", "unserved")],
)
def test_what_nobody_believed_or_served_is_no_proven_absence(
    aapl: Any, reason: str, share: str
) -> None:
    aapl.rows("delete from ohlc_bars_v2 where ts::date = '2026-11-12'")
    aapl.rows("update session_coverage set bars = 0, reason = %s where day = '2026-11-12'", reason)
    certificate = aapl.proof("AAPL")["certificate"]
    assert_accounted(aapl, certificate)
    assert (certificate["absent"], certificate["unproven"]) == ({}, {reason: 26})
    assert certificate["shares"]["absent"] == 0
    assert certificate["shares"][share] == 26 / 234
    assert sum(certificate["shares"].values()) == pytest.approx(1)
    text = aapl.prove("AAPL")
    assert f"  unproven   26 {reason} (quarter hours)\n" in text
    assert "  proven     208 of 234 quarter hours: 88.89% bar, 0.00% absent, 0.00% un" in text
    assert f", 11.11% {share}\n" in text


def test_proving_again_verifies_without_a_request(aapl: Any) -> None:
    first = aapl.proof("AAPL")
    asked = aapl.requests()
    again = aapl.proof("AAPL")
    assert again["result"] == "verified"
    assert again["certificate"] == first["certificate"]
    assert aapl.requests() == asked
    assert aapl.rows("select count(*), bool_and(verified_at > issued_at) from certificates") == [
        (1, True)
    ]


@pytest.mark.parametrize(
    ("timeframe", "at"),
    [("m15", "2026-11-10T15:00:00Z"), ("h1", "2026-11-13T20:30:00Z"), ("h4", f"{LAST}T14:30:00Z")],
)
@pytest.mark.parametrize(
    ("change", "done"),
    [
        ("delete from ohlc_bars_v2 where ", "deleted"),
        ("update ohlc_bars_v2 set close = (high + low) / 2 where ", "altered"),
        ("update ohlc_bars_v2 set volume = volume + 1e-6 where ", "altered"),
        ("update ohlc_bars_v2 set trade_count = null where ", "altered"),
    ],
)
def test_one_changed_bar_is_named(
    aapl: Any, timeframe: str, at: str, change: str, done: str
) -> None:
    aapl.prove("AAPL")
    aapl.rows(change + BAR, timeframe, at)
    line = aapl.refusal("AAPL")
    assert line.startswith(f"AAPL {timeframe} {at} was {done} since the certificate of 20")
    assert line.endswith(f"swiftbolt backfill AAPL --from {at[:10]} --to {at[:10]} --force")
    # It stays so: what was changed is never certified anew.
    assert aapl.refusal("AAPL") == line
    assert aapl.rows("select count(*) from certificates") == [(1,)]


def test_an_invented_bar_and_an_altered_reason_are_named(notary: Callable[..., Any]) -> None:
    one = notary(IN_MARCH)
    one.fill("HALT", date(2026, 3, 9), date(2026, 3, 19))
    one.prove("HALT")
    one.rows(
        "update session_coverage set absences = jsonb_set(absences, array[k], '\"not_listed\"')"
        " from (select min(k) as k from session_coverage, jsonb_object_keys(absences) k) f"
        " where absences <> '{}'"
    )
    # 10:30 in New York.
    assert "m15 2026-03-11T14:30:00Z: unconfirmed became not_listed" in one.refusal("HALT")
    one.rows(
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, open, high, low, close,"
        " volume) select symbol_id, timeframe, '2026-03-11T15:00Z', provider, 1, 1, 1, 1, 1"
        " from ohlc_bars_v2 where timeframe = 'm15' limit 1"
    )
    assert "m15 2026-03-11T15:00:00Z was added" in one.refusal("HALT")


def test_all_changes_are_listed(aapl: Any, capsys: pytest.CaptureFixture[str]) -> None:
    aapl.prove("AAPL")
    aapl.rows("delete from ohlc_bars_v2 where timeframe = 'm15' and ts < '2026-11-11'")
    line = aapl.refusal("AAPL")
    assert "m15 2026-11-09T14:30:00Z was deleted" in line
    assert "(and 51 more)" in line
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == [
        "AAPL m15 2026-11-09T14:30:00Z was deleted",
        "AAPL m15 2026-11-09T14:45:00Z was deleted",
    ]
    assert told[-1] == "… and 32 more; --json lists all"
    aapl.refusal("AAPL", as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert (report["result"], len(report["changed"])) == ("failed", 52)


def test_fetching_the_session_again_mends_it(aapl: Any) -> None:
    aapl.prove("AAPL")
    aapl.rows("delete from ohlc_bars_v2 where " + BAR, "m15", "2026-11-10T15:00:00Z")
    aapl.refusal("AAPL")
    aapl.fill("AAPL", date(2026, 11, 10), date(2026, 11, 10), force=True)
    assert aapl.proof("AAPL")["result"] == "verified"


def test_what_the_provider_answered_anew_is_revised_not_forged(aapl: Any) -> None:
    # The provider had another price when it was asked first, and says so now.
    aapl.rows("update ohlc_bars_v2 set close = low where " + BAR, "m15", "2026-11-10T15:00:00Z")
    first = aapl.proof("AAPL")["certificate"]
    aapl.fill("AAPL", date(2026, 11, 10), date(2026, 11, 10), force=True)
    report = aapl.proof("AAPL")
    assert (report["result"], report["revised"]) == ("issued", ["2026-11-10"])
    differing = [
        before["day"]
        for before, after in zip(first["days"], report["certificate"]["days"], strict=True)
        if before["hash"] != after["hash"]
    ]
    assert differing == ["2026-11-10"]
    assert aapl.proof("AAPL")["result"] == "verified"


def test_a_window_that_has_grown_is_certified_anew(aapl: Any) -> None:
    aapl.prove("AAPL")
    aapl.move(timedelta(days=3))
    line = aapl.refusal("AAPL")
    assert "1 of 10 sessions are not settled (2026-11-20: not_fetched)" in line
    assert line.endswith("run swiftbolt backfill AAPL --from 2026-11-20 --to 2026-11-20")
    assert aapl.rows("select count(*) from certificates") == [(1,)]
    aapl.fill("AAPL", date(2026, 11, 20), date(2026, 11, 20))
    report = aapl.proof("AAPL")
    assert (report["result"], report["certificate"]["sessions"]) == ("issued", 10)
    assert_accounted(aapl, report["certificate"])
    assert aapl.rows("select count(*) from certificates") == [(2,)]


def test_a_hole_is_never_called_complete(notary: Callable[..., Any]) -> None:
    one = notary(IN_NOVEMBER)
    assert "nothing is stored; run swiftbolt backfill AAPL" in one.refusal("AAPL")
    one.fill("AAPL", FIRST, FIRST)
    one.fill("AAPL", date(2026, 11, 12), LAST)
    assert "2 of 9 sessions are not settled (2026-11-10: not_fetched)" in one.refusal("AAPL")
    one.fill("AAPL", FIRST, LAST)
    one.rows("update session_coverage set state = 'open', settled_at = null, reason = null")
    assert "9 of 9 sessions are not settled" in one.refusal("AAPL")
    assert one.rows("select count(*) from certificates") == [(0,)]


@pytest.mark.parametrize(
    ("change", "where", "told"),
    [
        (
            "delete from ohlc_bars_v2",
            "2026-11-10T15:00:00Z",
            "AAPL m15 2026-11-10T15:00:00Z is neither a bar nor has a reason",
        ),
        (
            "update ohlc_bars_v2 set volume = 2 * volume",
            "2026-11-10T15:00:00Z",
            "AAPL h1 2026-11-10T14:30:00Z is not what its 15-minute bars give (and 1 more)",
        ),
        (
            "update ohlc_bars_v2 set ts = '2026-11-10T22:00Z'",
            "2026-11-10T20:45:00Z",
            "AAPL m15 2026-11-10T22:00:00Z lies outside its session",
        ),
    ],
)
def test_without_an_earlier_certificate_what_does_not_fit_is_found_too(
    aapl: Any, change: str, where: str, told: str
) -> None:
    aapl.rows(f"{change} where {BAR}", "m15", where)
    assert aapl.refusal("AAPL").startswith(told)
    assert aapl.rows("select count(*) from certificates") == [(0,)]


def test_a_written_certificate_verifies_by_itself(aapl: Any, tmp_path: Path) -> None:
    path = tmp_path / "cert.json"
    aapl.prove("AAPL", target=str(path))
    aapl.rows("delete from certificates")
    assert "certificate verified" in aapl.prove("AAPL", source=str(path))
    # Later sessions are none of its business.
    aapl.move(timedelta(days=3))
    assert "certificate verified" in aapl.prove("AAPL", source=str(path))
    aapl.rows("delete from ohlc_bars_v2 where " + BAR, "m15", "2026-11-10T15:00:00Z")
    line = aapl.refusal("AAPL", source=str(path))
    assert "m15 2026-11-10T15:00:00Z was deleted" in line


def test_a_file_that_is_no_certificate_of_the_symbol_is_refused(aapl: Any, tmp_path: Path) -> None:
    path = tmp_path / "cert.json"
    aapl.prove("AAPL", target=str(path))
    written = json.loads(path.read_bytes())
    assert "is of AAPL, not of MSFT" in aapl.refusal("MSFT", source=str(path))
    assert "No such file" in aapl.refusal("AAPL", source=str(tmp_path / "none"))
    with pytest.raises(UsageError, match="give one of them"):
        aapl.prove("AAPL", source=str(path), target=str(path))
    for changed, told in [
        ("{", "is no certificate"),
        ("[]", "is no certificate"),
        (json.dumps(written | {"days": []}), "was changed"),
        (json.dumps(written | {"content_hash": "0" * 64}), "was changed"),
        (json.dumps(written | {"kind": "other"}), "is of another kind"),
    ]:
        path.write_text(changed)
        assert told in aapl.refusal("AAPL", source=str(path))


def test_a_year_of_a_symbol_is_proved_in_well_under_a_second(notary: Callable[..., Any]) -> None:
    one = notary(IN_NOVEMBER)
    one.fill("AAPL", date(2025, 11, 20), LAST)
    one.prove("AAPL")
    began = time.process_time()
    one.prove("AAPL")
    # Of this process; the database's share is about as much.
    assert time.process_time() - began < 0.5


def test_a_day_that_is_closed_since_was_judged_anew_and_a_certificate_holds_again_afterwards(
    aapl: Any,
) -> None:
    whole, book = aapl.proof("AAPL")["certificate"], CalendarBook(aapl.database)
    wednesday = date(2026, 11, 18)
    book.add(Change(wednesday, IN_NOVEMBER.time().replace(hour=13, minute=0)))
    cut = aapl.proof("AAPL")
    assert (cut["result"], cut["revised"]) == ("issued", ["2026-11-18"])
    assert cut["certificate"]["bars"] == {"m15": 222, "h1": 60, "h4": 17}
    assert cut["certificate"]["quarter_hours"] == 222
    book.add(Change(wednesday, None))
    closed = aapl.proof("AAPL")
    assert (closed["result"], closed["revised"]) == ("issued", ["2026-11-18"])
    assert closed["certificate"]["sessions"] == 8
    book.remove(wednesday)
    again = aapl.proof("AAPL")
    assert again["result"] == "issued"
    assert again["certificate"]["content_hash"] == whole["content_hash"]
