"""The API of the benchmarks: `swiftbolt serve` on a database of theirs, and a client that measures.

What belongs here: a real server process on loopback, and requests on connections that stay open.
What does not: what is measured.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from live import await_, free_port_offset
from process import COMMAND, clean_environment
from replies import WALL

from swiftbolt_assets.orchestration.platform.ports import API_PORT, LOOPBACK, listens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from resources.postgres.database import Database

ANON_KEY = "the-anon-key-of-the-benchmarks"
_START_S = 60.0
_PATIENCE_S = 60.0


class Client:
    """One connection to an API, as an app keeps it; not for two threads at once."""

    def __init__(self, port: int, key: str = ANON_KEY) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_PATIENCE_S)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def post(self, name: str, body: object, accept: str = "application/json") -> bytes:
        """Return the reply's body.

        Raises:
            RuntimeError: it is no 200.

        """
        headers = self._headers | {"Accept": accept}
        path = f"/functions/v1/{name}"
        self._connection.request("POST", path, json.dumps(body), headers)
        return self._read(name)

    def get(self, path: str) -> bytes:
        """Return the body of a page.

        Raises:
            RuntimeError: it is no 200.

        """
        self._connection.request("GET", f"/{path}", headers=self._headers)
        return self._read(path)

    def _read(self, name: str) -> bytes:
        reply = self._connection.getresponse()
        found = reply.read()
        if reply.status != http.client.OK:
            raise RuntimeError(f"{name}: {reply.status} {found[:200]!r}")
        return found

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def serving(database: Database, settings: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run a server of its own on a database; yield its port."""
    with tempfile.TemporaryDirectory(prefix="swiftbolt-bench-") as folder:
        environment = clean_environment(Path(folder)) | {
            "SWIFTBOLT_DATABASE_URL": database.url,
            "SWIFTBOLT_NOW": WALL.isoformat(),
            "SWIFTBOLT_ANON_KEY": ANON_KEY,
            **(settings or {}),
        }
        offset = free_port_offset()
        process = subprocess.Popen(
            [str(COMMAND), "serve", "--port-offset", str(offset)],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            port = API_PORT + offset

            def answers() -> bool:
                if process.poll() is not None:
                    raise RuntimeError(f"swiftbolt serve ended with {process.returncode}")
                return listens(LOOPBACK, port)

            await_(answers, "the API listens", seconds=_START_S, every=0.05)
            yield port
        finally:
            process.terminate()
            process.wait(_PATIENCE_S)


@dataclass
class Load:
    """What many clients at once met.

    Attributes:
        seconds: of each request that was answered.
        errors: of those that were not, one line each.
        lasted: wall seconds of all of it.

    """

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lasted: float = 0.0

    @property
    def a_second(self) -> float:
        """Return the answered requests a second."""
        return len(self.seconds) / self.lasted


def press(port: int, clients: int, seconds: float, ask: Callable[[Client, int], object]) -> Load:
    """Have clients ask without a pause for some seconds; each has a number."""
    found = Load()
    began = time.perf_counter()

    def work(number: int) -> None:
        client = Client(port)
        while (asked := time.perf_counter()) - began < seconds:
            try:
                ask(client, number)
            except (RuntimeError, OSError, http.client.HTTPException) as error:
                found.errors.append(str(error))
            else:
                found.seconds.append(time.perf_counter() - asked)
        client.close()

    in_threads(work, clients)
    found.lasted = time.perf_counter() - began
    return found


def in_threads(work: Callable[[int], Any], count: int) -> None:
    """Run numbered work in threads until all have ended."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
