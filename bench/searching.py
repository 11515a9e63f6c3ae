"""The first letters of a name or a ticker, typed into the search of 12,000 names.

What is typed are the first one to six letters of names and tickers in turns, each another one, over
HTTP at a real server process, read to the last byte; three symbols are tracked. Beside it the same
statement without the indexes, as plain scans. What belongs here: one reader. What does not: tracked
symbols by the thousand (`universe.py`).
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from results import Group, Line, milliseconds, spread
from served import Client, serving
from timing import Timings, timed

from resources.bars.symbols import ensure_symbols
from swiftbolt_assets.simulator.directory import directory

if TYPE_CHECKING:
    from server import Server

    from resources.postgres.database import Database

FULL, QUICK = 600, 120
TARGET_S = 0.020
_LONGEST = 6
_INDEXES = ("listed_tickers_ticker", "listed_tickers_name", "listed_tickers_words")


def measure(server: Server, searches: int) -> Group:
    """Return the group."""
    with server.database() as database:
        names = dict(directory()) | {"AAPL": "Apple Inc."}
        with database.transaction() as connection:
            connection.execute(
                "insert into listed_tickers select * from unnest(%s::text[], %s::text[])",
                (list(names), list(names.values())),
            )
        _run(database, "vacuum analyze listed_tickers")
        ensure_symbols(database, ["AAPL", *list(names)[:2]])
        typed = _typed(names, searches)
        with serving(database) as port:
            client = Client(port)
            _check(client)
            indexed = _timings(client, typed)
            for index in _INDEXES:
                _run(database, f"drop index {index}")
            scanned = _timings(client, typed)
            client.close()
    group = Group(f"search among {len(names):,} names, over HTTP")
    ratio = f"{scanned.p95 / indexed.p95:.1f}"
    group.lines += [
        Line(
            f"the first letters of a name or ticker, {searches} searches",
            f"p95 {milliseconds(indexed.p95)}",
            spread(indexed.seconds),
            target=f"p95 <= {milliseconds(TARGET_S)}",
            reached=indexed.p95 <= TARGET_S,
        ),
        Line(
            "the same without indexes",
            f"p95 {milliseconds(scanned.p95)}",
            spread(scanned.seconds),
            ratio=ratio,
        ),
    ]
    group.data = {"indexed": indexed.as_json(), "scanned": scanned.as_json()}
    return group


def _typed(names: dict[str, str], searches: int) -> list[str]:
    draw = random.Random(7)  # noqa: S311 - a choice of what is typed
    pairs = draw.sample(sorted(names.items()), searches)
    return [
        (name if place % 2 else ticker)[: 1 + place // 2 % _LONGEST].strip().lower()
        for place, (ticker, name) in enumerate(pairs)
    ]


def _check(client: Client) -> None:
    """Raise unless a search finds what it must."""
    first = json.loads(_search(client, "apple"))[0]
    if (first["ticker"], first["description"]) != ("AAPL", "Apple Inc."):
        raise RuntimeError(f"search: apple finds {first}")


def _timings(client: Client, typed: list[str]) -> Timings:
    _search(client, typed[0])
    return Timings(tuple(timed(lambda text=text: _search(client, text)) for text in typed))


def _search(client: Client, text: str) -> bytes:
    return client.get(f"functions/v1/symbols-search?{urlencode({'q': text})}")


def _run(database: Database, statement: str) -> None:
    with database.connect(autocommit=True) as connection:
        connection.execute(statement.encode())
