"""`swiftbolt prove`: a certificate of completeness, and whether an earlier one still holds.

It reads the database alone; no provider is asked. What belongs here: the order of steps and how
they are told. What does not: what a certificate states (`policy/certificate.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swiftbolt_assets.cli.installation import readable
from swiftbolt_assets.errors import SwiftBoltError, UsageError
from swiftbolt_assets.market.symbols import parse_symbol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from resources.bars.certificates import CertificateBook, Snapshot
    from swiftbolt_assets.cli.installation import Installation
    from swiftbolt_assets.market.sessions import Session
    from swiftbolt_assets.policy.certificate import Certificate, Changes, SessionProof, Stock

_LINES = 20
#: The parts of a certificate in the order of telling, and those that are told when there are any.
_SELDOM = ("rejected", "unserved")
_SHARES = ("bar", "absent", "unconfirmed", *_SELDOM)


@dataclass(frozen=True)
class _Stored:
    """What is stored of a symbol now: its id, the window's sessions, and all that they hold."""

    symbol: str
    symbol_id: UUID
    sessions: Sequence[Session]
    snapshot: Snapshot
    stock: Stock


def run_prove(symbol: str, *, target: str | None, source: str | None, as_json: bool) -> None:
    """Verify the newest certificate, or one from a file, and issue a new one when there is more.

    Raises:
        UsageError: the symbol is none, or both files are given.
        SwiftBoltError: something is not settled, not accounted for, or was changed; names it.

    """
    ticker = parse_symbol(symbol)
    if target and source:
        raise UsageError("--verify: --file writes what --verify reads; give one of them")

    from resources.bars.certificates import CertificateBook, read_certificate
    from resources.bars.symbols import find_symbol

    given = read_certificate(_read(source), source) if source else None
    if given is not None and given.symbol != ticker:
        raise UsageError(f"--verify: {source} is of {given.symbol}, not of {ticker}")
    with readable() as installation:
        book = CertificateBook(installation.database)
        symbol_id = find_symbol(installation.database, ticker)
        first = book.first_day(symbol_id) if symbol_id else None
        if symbol_id is None or first is None:
            raise SwiftBoltError(f"{ticker}: nothing is stored; run swiftbolt backfill {ticker}")
        earlier = given or book.newest(symbol_id)
        stored = _look(installation, book, ticker, symbol_id, earlier)
        found = _changes(earlier, stored) if earlier else None
        if earlier and found and found.bars:
            _tell_changes(earlier, found, as_json=as_json)
            raise _changed(ticker, earlier, found)
        if given is not None and found is not None:
            _tell(given, found, "verified", as_json=as_json)
            return
        certificate = _issue(installation, stored, first)
        if earlier and _says_the_same(earlier, certificate):
            book.verified(symbol_id, earlier)
            certificate, done = earlier, "verified"
        else:
            book.keep(symbol_id, certificate)
            done = "issued"
    if target:
        _write(target, certificate)
    _tell(certificate, found, done, as_json=as_json)


def _look(
    installation: Installation,
    book: CertificateBook,
    ticker: str,
    symbol_id: UUID,
    earlier: Certificate | None,
) -> _Stored:
    """Read the window: from the oldest session known to yesterday's, an earlier one's included."""
    from resources.bars.calendar import load_calendar
    from swiftbolt_assets.policy.certificate import take_stock

    first = book.first_day(symbol_id)
    last = installation.settings.clock.today() - timedelta(days=1)
    ends = [earlier.first, earlier.last] if earlier else []
    calendar = load_calendar(installation.database)
    sessions = calendar.between(min([first or last, *ends]), max([last, *ends]))
    if not sessions:
        raise SwiftBoltError(f"{ticker}: no session before today is stored; come back tomorrow")
    snapshot = book.snapshot(symbol_id, sessions)
    stock = take_stock(sessions, snapshot.bars, snapshot.ledger)
    return _Stored(ticker, symbol_id, sessions, snapshot, stock)


def _changes(earlier: Certificate, stored: _Stored) -> Changes:
    from swiftbolt_assets.policy.certificate import changes

    days = {day.day: day for day in stored.stock.days}
    return changes(earlier, days, {session.day: session for session in stored.sessions})


def _issue(installation: Installation, stored: _Stored, first: date) -> Certificate:
    """Return a certificate of all that is stored.

    Raises:
        SwiftBoltError: something is not settled or cannot be accounted for.

    """
    from swiftbolt_assets.market.coverage import Reason
    from swiftbolt_assets.market.timeframes import Timeframe
    from swiftbolt_assets.policy.certificate import (
        PROVEN,
        Certificate,
        absent,
        content_hash,
        shares,
    )

    today = installation.settings.clock.today()
    days = [day for day in stored.stock.days if first <= day.day < today]
    _refuse_unsettled(stored, days)
    _refuse_problems(installation, stored, days)
    absences, slots = absent(days), sum(len(day.slots) for day in days)
    _refuse_nothing(stored.symbol, absences, slots)
    ledger = [stored.snapshot.ledger[day.day] for day in days]
    return Certificate(
        symbol=stored.symbol,
        first=days[0].day,
        last=days[-1].day,
        sessions=len(days),
        quarter_hours=slots,
        bars={timeframe: sum(day.bars[timeframe] for day in days) for timeframe in Timeframe},
        absent={why: count for why, count in absences.items() if why in PROVEN},
        unconfirmed=absences.get(Reason.UNCONFIRMED, 0),
        unproven={
            why: count
            for why, count in absences.items()
            if why not in PROVEN and why != Reason.UNCONFIRMED
        },
        shares=shares(absences, slots),
        rejected=dict(stored.snapshot.rejected),
        providers=sorted({row.provider for row in ledger if row.provider}),
        requests=sorted({row.request_id for row in ledger if row.request_id}),
        simulated=installation.settings.simulated,
        content_hash=content_hash(days),
        days=days,
        issued_at=stored.snapshot.at,
    )


def _refuse_unsettled(stored: _Stored, days: Sequence[SessionProof]) -> None:
    unsettled = {day.day: why for day in days if (why := stored.stock.unsettled.get(day.day))}
    if not days:
        raise SwiftBoltError(f"{stored.symbol}: no session before today is stored yet")
    if unsettled:
        first, last = min(unsettled), max(unsettled)
        raise SwiftBoltError(
            f"{stored.symbol}: {len(unsettled)} of {len(days)} sessions are not settled "
            f"({first}: {unsettled[first]}); "
            f"run swiftbolt backfill {stored.symbol} --from {first} --to {last}"
        )


def _refuse_problems(
    installation: Installation, stored: _Stored, days: Sequence[SessionProof]
) -> None:
    from resources.bars.ledger import Ledger

    settings = installation.settings
    derived = {"h1": settings.resample_h1, "h4": settings.resample_h4}
    wrong = Ledger(installation.database).underivable_bars(
        stored.symbol_id, [day.day for day in days]
    )
    problems = stored.stock.problems + [
        f"{timeframe} {ts:%Y-%m-%dT%H:%M:%SZ} is not what its 15-minute bars give"
        for timeframe, ts in wrong
        if derived[timeframe]
    ]
    if problems:
        raise SwiftBoltError(
            f"{stored.symbol} {problems[0]}{_more(len(problems) - 1)}; "
            f"run swiftbolt backfill {stored.symbol} --force over the day"
        )


def _refuse_nothing(symbol: str, absences: dict[str, int], slots: int) -> None:
    """Refuse what is settled and yet not good: no bar at all, or mostly bars not believed."""
    from swiftbolt_assets.market.coverage import Reason

    bars, rejected = slots - sum(absences.values()), absences.get(Reason.REJECTED, 0)
    if rejected > bars:
        raise SwiftBoltError(
            f"{symbol}: more quarter hours were rejected ({rejected:,}) than stored ({bars:,}); "
            f"see swiftbolt coverage {symbol}"
        )
    if not bars:
        raise SwiftBoltError(
            f"{symbol}: no provider has a bar of it, so there is nothing to prove; "
            f"{_counts(absences)} (quarter hours)"
        )


def _says_the_same(earlier: Certificate, now: Certificate) -> bool:
    return (earlier.first, earlier.last, earlier.content_hash) == (
        *(now.first, now.last, now.content_hash),
    )


def _changed(symbol: str, earlier: Certificate, found: Changes) -> SwiftBoltError:
    lines = [line for day in sorted(found.bars) for line in found.bars[day]]
    first, last = min(found.bars), max(found.bars)
    return SwiftBoltError(
        f"{symbol} {lines[0]} since the certificate of {earlier.issued_at:%Y-%m-%d %H:%M} UTC"
        f"{_more(len(lines) - 1)}; to fetch the session again, run "
        f"swiftbolt backfill {symbol} --from {first} --to {last} --force"
    )


def _more(count: int) -> str:
    return f" (and {count:,} more)" if count else ""


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"--verify: {path}: {error.strerror}") from None


def _write(path: str, certificate: Certificate) -> None:
    import msgspec

    try:
        Path(path).write_bytes(msgspec.json.format(msgspec.json.encode(certificate)) + b"\n")
    except OSError as error:
        raise UsageError(f"--file: {path}: {error.strerror}") from None


def _tell_changes(earlier: Certificate, found: Changes, *, as_json: bool) -> None:
    lines = [line for day in sorted(found.bars) for line in found.bars[day]]
    if as_json:
        _echo(earlier, found, "failed", changed=lines)
        return
    for line in lines[:_LINES]:
        click.echo(f"{earlier.symbol} {line}")
    if len(lines) > _LINES:
        click.echo(f"… and {len(lines) - _LINES:,} more; --json lists all")


def _echo(certificate: Certificate, found: Changes | None, result: str, **more: Any) -> None:  # noqa: ANN401 - JSON
    import msgspec

    revised = [str(day) for day in found.revised] if found else []
    report = {"result": result, "revised": revised, **more, "certificate": certificate}
    click.echo(msgspec.json.encode(report))


def _tell(certificate: Certificate, found: Changes | None, result: str, *, as_json: bool) -> None:
    if as_json:
        _echo(certificate, found, result)
        return
    source = " (simulated)" if certificate.simulated else ""
    bars = ", ".join(f"{count:,} {timeframe}" for timeframe, count in certificate.bars.items())
    click.echo(f"{certificate.symbol}{source}: certificate {result}")
    click.echo(f"  window     {certificate.first} to {certificate.last}")
    click.echo(f"  sessions   {certificate.sessions:,}, all settled")
    click.echo(f"  bars       {bars}")
    click.echo(f"  absent     {_counts(certificate.absent)} (quarter hours)")
    click.echo(f"  in doubt   {_in_doubt(certificate)}")
    if certificate.unproven:
        click.echo(f"  unproven   {_counts(certificate.unproven)} (quarter hours)")
    click.echo(f"  proven     {_proven(certificate)}")
    click.echo(f"  rejected   {_counts(certificate.rejected)} (bars delivered and not believed)")
    click.echo(f"  provider   {', '.join(certificate.providers) or 'none'}")
    click.echo(f"  requests   {_named(certificate.requests)}")
    click.echo(f"  hash       {certificate.content_hash}")
    click.echo(f"  issued     {certificate.issued_at:%Y-%m-%d %H:%M:%S} UTC")
    if found and found.revised:
        days = ", ".join(map(str, found.revised[:_LINES]))
        click.echo(f"  revised    {days}: judged anew since the last one")


def _in_doubt(certificate: Certificate) -> str:
    if not certificate.unconfirmed:
        return "nothing"
    return f"{certificate.unconfirmed:,} unconfirmed, asked for again (quarter hours)"


def _proven(certificate: Certificate) -> str:
    """Return which part of all quarter hours is what; of an older certificate only the whole."""
    open_ = certificate.unconfirmed + sum(certificate.unproven.values())
    proven = certificate.quarter_hours - open_
    shares = certificate.shares
    parts = ", ".join(
        f"{shares[name]:.2%} {name}"
        for name in _SHARES
        if name in shares and (shares[name] or name not in _SELDOM)
    )
    whole = f"{proven:,} of {certificate.quarter_hours:,} quarter hours"
    return f"{whole}: {parts}" if parts else whole


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) or "nothing"


def _named(requests: Sequence[str]) -> str:
    shown = ", ".join(requests[:3])
    return f"{shown} and {len(requests) - 3} more" if len(requests) > 3 else shown or "none"  # noqa: PLR2004
