"""Another process at work on the database of a test: says `ready`, waits for a line, acts."""

from __future__ import annotations

import gc
import os
import sys
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import polars as pl

from resources.bars.ledger import Ledger
from resources.bars.session_write import SessionsWrite
from resources.bars.store import BarStore
from resources.postgres.database import Database
from resources.schema import migrate
from swiftbolt_assets.market.bars import BAR_SCHEMA
from swiftbolt_assets.market.coverage import SessionCoverage, State
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import REJECT_SCHEMA


def main() -> None:
    command, url, *rest = sys.argv[1:]
    database = Database(url, timedelta(0))
    if command == "migrate":
        ready()
        print(migrate(database, date(2024, 1, 2)).after)  # noqa: T201 - the answer to the test
    elif command == "hold-turn":
        with Ledger(database).symbol_turn(UUID(rest[0])):
            ready()
    elif command == "fork":
        fork(BarStore(database), UUID(rest[0]))
    else:
        store = BarStore(database)
        ready()
        for _ in range(int(rest[2])):
            store.write(flat(UUID(rest[0]), float(rest[1])))
        store.close()


def ready() -> None:
    print("ready", flush=True)  # noqa: T201 - the answer to the test
    sys.stdin.readline()


def fork(store: BarStore, symbol_id: UUID) -> None:
    """Print the server's process of the parent, of a fork at work, and of the parent after it."""
    before = session(store)
    ready()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        store.write(flat(symbol_id, 10.0))
        os.write(writer, session(store).encode())
        store.close()
        gc.collect()
        sys.exit()  # runs what an ordinary end runs
    os.close(writer)
    said = os.read(reader, 100).decode()
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(f"the fork ended with {status}")
    print(before, said, session(store))  # noqa: T201 - the answer to the test
    store.close()


def session(store: BarStore) -> str:
    """Return the process id of the server's side of the store's connection."""
    store.read(UUID(int=0), Timeframe.M15, *[datetime(2025, 11, 3, tzinfo=UTC)] * 2)
    return str(store._connections[os.getpid()].info.backend_pid)


def flat(symbol_id: UUID, price: float) -> SessionsWrite:
    """Return ten sessions at one price."""
    sessions = xnys().between(date(2025, 11, 3), date(2025, 11, 14))
    m15 = pl.DataFrame(
        [(at, *[price] * 4, 1.0, None, None) for s in sessions for at in s.slot_starts()],
        schema=BAR_SCHEMA,
        orient="row",
    )
    bars = {one: resample(m15, sessions, one) for one in (Timeframe.H1, Timeframe.H4)}
    return SessionsWrite(
        symbol_id=symbol_id,
        provider="polygon",
        opens=sessions[0].opens,
        closes=sessions[-1].closes,
        bars={Timeframe.M15: m15} | bars,
        forming=None,
        coverage=[
            SessionCoverage(s.day, State.FINAL, None, s.slots, s.slots, int(price))
            for s in sessions
        ],
        rejects=pl.DataFrame(schema=REJECT_SCHEMA),
        request_id=f"price {price}",
    )


if __name__ == "__main__":
    main()
