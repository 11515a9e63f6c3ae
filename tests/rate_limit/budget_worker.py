"""A process that asks a loopback server for ever, through the real transport and limiter.

Arguments: database URL, server URL, priority. Prints a line when it starts.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import psycopg

from resources.providers.endpoint import Secret
from resources.providers.http import Bounds, Transport
from resources.providers.rate_limit import PostgresLimiter
from resources.providers.replies import Parsed, Reply, Request
from swiftbolt_assets.errors import ProviderError

#: The provider's window is 3 s; the margin is that of 60.5 s to 60 s.
WINDOW_S = 3.03


def check(reply: Reply) -> Parsed[int]:
    return Parsed(reply.status)


def main(database: str, server: str, priority: str) -> None:
    limiter = PostgresLimiter(
        lambda: psycopg.connect(database), "p", 5, window_s=WINDOW_S, lease_s=4.0
    )
    transport = Transport(
        server,
        name="worker",
        key=Secret("k", "WORKER_KEY"),
        limiter=limiter,
        record=lambda _record: None,
        bounds=Bounds(total_s=2.0, read_s=2.0, attempts=2, first_wait_s=0.05),
    )
    print("started", flush=True)  # noqa: T201 - the test waits for it
    while True:
        with suppress(ProviderError):
            transport.conversation(None, priority=int(priority)).get(Request("/", ()), check)


if __name__ == "__main__":
    main(*sys.argv[1:])
