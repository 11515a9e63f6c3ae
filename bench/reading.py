"""What a reader pays: folding splits into a chart, and proving a symbol complete.

Beside a folded chart stands the same chart with raw prices, in turns. A proof is what
`swiftbolt prove` does between opening the database and printing: all bars as text, hashed, every
quarter hour accounted for, derived bars held against SQL's resample. What belongs here: reads.
What does not: the start of a process (`process.py`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from filling import fill
from results import Group, Line, milliseconds, spread
from timing import side_by_side, timed

from resources.bars.certificates import CertificateBook
from resources.bars.ledger import Ledger
from resources.bars.symbols import ensure_symbols
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.policy.certificate import content_hash, take_stock

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from replies import Recorded
    from server import Server

    from resources.postgres.database import Database

SYMBOL = "AAPL"
_YEAR = timedelta(days=365)
_TARGET_S = 1.0


def measure(server: Server, recorded: Recorded, repetitions: int) -> Group:
    """Return the group."""
    group = Group("reads of one symbol, two years stored")
    with server.database() as database:
        ids = ensure_symbols(database, [SYMBOL])
        fill(database, recorded, ids)
        server.settle()
        _charts(group, database, ids[SYMBOL], repetitions)
        _proofs(group, database, ids[SYMBOL], repetitions)
    return group


def _charts(group: Group, database: Database, symbol_id: UUID, repetitions: int) -> None:
    with database.connect() as connection:
        connection.execute("analyze ohlc_bars_v2")
        (last,) = connection.execute("select max(ts) from ohlc_bars_v2").fetchone() or (None,)
        connection.execute(
            "insert into splits (symbol_id, execution_date, split_from, split_to)"
            " values (%s, %s::date - 300, 1, 10)",
            (symbol_id, last),
        )
        rows = 0

        def chart(adjusted: str) -> Callable[[], float]:
            asked = f"select * from get_chart_data_v2(%s, 'm15', null, null, {adjusted})"

            def read() -> None:
                nonlocal rows
                rows = len(connection.execute(asked, (symbol_id,)).fetchall())

            return lambda: timed(read)

        found = side_by_side({"raw": chart("false"), "folded": chart("true")}, repetitions)
    raw, folded = found["raw"], found["folded"]
    group.lines.append(
        Line(f"raw chart, {rows:,} bars", milliseconds(raw.median), spread(raw.seconds))
    )
    group.lines.append(
        Line(
            "folded chart",
            milliseconds(folded.median),
            spread(folded.seconds),
            ratio=f"{folded.median / raw.median:.2f}",
        )
    )
    group.data |= {"rows": rows, "raw": raw.as_json(), "folded": folded.as_json()}


def _proofs(group: Group, database: Database, symbol_id: UUID, repetitions: int) -> None:
    book, ledger = CertificateBook(database), Ledger(database)
    with database.transaction() as connection:
        row = connection.execute("select max(day) from session_coverage").fetchone()
    last = row[0] if row else None
    assert last is not None
    sessions = xnys().between(last - _YEAR, last)

    def prove() -> None:
        snapshot = book.snapshot(symbol_id, sessions)
        stock = take_stock(sessions, snapshot.bars, snapshot.ledger)
        assert not stock.problems
        assert not stock.unsettled
        assert not ledger.underivable_bars(symbol_id, [session.day for session in sessions])
        assert len(content_hash(stock.days)) == 64

    found = side_by_side({"prove": lambda: timed(prove)}, repetitions)["prove"]
    group.lines.append(
        Line(
            f"proof of a year, {len(sessions)} sessions",
            milliseconds(found.median),
            spread(found.seconds),
            target="< 1 s",
            reached=found.median < _TARGET_S,
        )
    )
    group.data["proof_of_a_year"] = found.as_json()
