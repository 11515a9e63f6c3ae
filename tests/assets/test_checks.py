"""Each check of a run passes over what an answer left, and fails when somebody spoils it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import polars as pl
import pytest

from resources.bars.session_write import SessionsWrite
from resources.bars.store import BarStore
from resources.bars.symbols import ensure_symbols
from resources.postgres.database import Database
from resources.storage import open_storage
from swiftbolt_assets.assets.checked_run import CheckedRun
from swiftbolt_assets.assets.every_check import check_results, check_specs
from swiftbolt_assets.clock import Clock
from swiftbolt_assets.market.bars import BAR_SCHEMA
from swiftbolt_assets.market.coverage import SessionCoverage, State
from swiftbolt_assets.market.resample import resample
from swiftbolt_assets.market.sessions import xnys
from swiftbolt_assets.market.timeframes import Timeframe
from swiftbolt_assets.market.validation import REJECT_SCHEMA
from swiftbolt_assets.policy.shards import WHOLE

if TYPE_CHECKING:
    from uuid import UUID

    import dagster as dg

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
#: A full week with a holiday and an early close, and the session before it.
SESSIONS = xnys().between(date(2025, 11, 21), date(2025, 11, 28))
DAYS = [session.day for session in SESSIONS]
_COPY = (
    "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, open, high, low, close, volume)"
    " select symbol_id, timeframe, '{ts}', provider, open, high, low, close, volume"
    " from ohlc_bars_v2 where timeframe = '{kind}' limit 1"
)
#: All but `fresh`, which is about today and evaluated by `test_bar_assets.py`.
OF_PAST_SESSIONS = {spec.key for spec in check_specs() if spec.name != "fresh"}
NIGHT = "where ts >= '2025-11-24'"


class Desk:
    """A symbol whose sessions are stored as answers of Polygon leave them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.symbol_id: UUID = ensure_symbols(database, ["AAPL"])["AAPL"]
        starts = [at for session in SESSIONS for at in session.slot_starts()]
        m15 = pl.DataFrame(
            [(at, 100.0, 101.0, 99.0, 100.5, 10.0, None, None) for at in starts],
            schema=BAR_SCHEMA,
            orient="row",
        )
        kinds = (Timeframe.H1, Timeframe.H4)
        store = BarStore(database)
        store.write(
            SessionsWrite(
                symbol_id=self.symbol_id,
                provider="polygon",
                opens=SESSIONS[0].opens,
                closes=SESSIONS[-1].closes,
                bars={Timeframe.M15: m15} | {one: resample(m15, SESSIONS, one) for one in kinds},
                forming=None,
                coverage=[
                    SessionCoverage(s.day, State.FINAL, None, s.slots, s.slots, 1) for s in SESSIONS
                ],
                rejects=pl.DataFrame(schema=REJECT_SCHEMA),
                request_id="a-request",
            )
        )
        store.close()

    def sql(self, statement: str) -> None:
        with self.database.transaction() as connection:
            connection.execute(statement.encode())

    def checks(self) -> dict[str, dg.AssetCheckResult]:
        """Return what the checks of a run over all days say."""
        results = check_results(
            OF_PAST_SESSIONS,
            CheckedRun(
                WHOLE,
                {self.symbol_id: DAYS},
                (Timeframe.H1, Timeframe.H4),
                open_storage(self.database, Clock(NOW - datetime.now(UTC))),
            ),
        )
        return {f"{one.asset_key.to_user_string()}.{one.check_name}": one for one in results}  # type: ignore[union-attr]


@pytest.fixture
def desk(database_url: str) -> Desk:
    return Desk(Database(database_url, NOW - datetime.now(UTC)))


def test_what_an_answer_left_passes_every_check(desk: Desk) -> None:
    checks = desk.checks()
    assert len(checks) == len(OF_PAST_SESSIONS) == 7
    assert {name for name, one in checks.items() if not one.passed} == set()
    assert checks["m15_bars.complete"].metadata["bars"].value == 4 * 26 + 14


@pytest.mark.parametrize(
    ("spoiling", "failing", "fact"),
    [
        pytest.param(
            "update session_coverage set state = 'open', settled_at = null"
            " where day = '2025-11-25'",
            {"m15_bars.complete"},
            ("open_sessions", "2025-11-25"),
            id="a session is open again",
        ),
        pytest.param(
            "delete from session_coverage where day = '2025-11-26'",
            {"m15_bars.complete"},
            ("open_sessions", "2025-11-26"),
            id="the ledger has lost a session",
        ),
        pytest.param(
            "delete from ohlc_bars_v2 where ts = '2025-11-28 15:00Z' and timeframe = 'm15'",
            {"m15_bars.complete", "h1_bars.equals_resample", "h4_bars.equals_resample"},
            ("sessions_with_lost_bars", "2025-11-28"),
            id="a bar is gone",
        ),
        pytest.param(
            _COPY.format(kind="m15", ts="2025-11-25 14:15Z"),
            {"m15_bars.within_session"},
            ("first", "2025-11-25T14:15:00+00:00"),
            id="a bar before the open",
        ),
        pytest.param(
            _COPY.format(kind="m15", ts="2025-11-28 18:00Z"),
            {"m15_bars.within_session"},
            ("first", "2025-11-28T18:00:00+00:00"),
            id="a bar after the early close",
        ),
        pytest.param(
            _COPY.format(kind="h4", ts="2025-11-27 14:30Z"),
            {"h4_bars.within_session"},
            ("first", "2025-11-27T14:30:00+00:00"),
            id="a bar on a holiday",
        ),
        pytest.param(
            _COPY.format(kind="h1", ts="2025-11-25 15:00Z"),
            {"h1_bars.within_session", "h1_bars.equals_resample"},
            ("first", "2025-11-25T15:00:00+00:00"),
            id="an hour that starts on the clock's hour",
        ),
        pytest.param(
            "update ohlc_bars_v2 set close = close + 0.01"
            " where ts = '2025-11-25 18:30Z' and timeframe = 'h4'",
            {"h4_bars.equals_resample"},
            ("first", "2025-11-25T18:30:00+00:00"),
            id="a derived bar was changed",
        ),
        pytest.param(
            "delete from ohlc_bars_v2 where ts = '2025-11-25 19:30Z' and timeframe = 'h1'",
            {"h1_bars.equals_resample"},
            ("first", "2025-11-25T19:30:00+00:00"),
            id="a derived bar is gone",
        ),
        pytest.param(
            f"update ohlc_bars_v2 set open = open / 10, high = high / 10, low = low / 10,"
            f" close = close / 10 {NIGHT}",
            {"m15_bars.splits_explain_prices"},
            ("first", "2025-11-24: the price jumps like a split"),
            id="a price jumps and no split is known",
        ),
        pytest.param(
            "insert into splits (symbol_id, execution_date, split_from, split_to)"
            " select id, '2025-11-25', 1, 10 from symbols where ticker = 'AAPL'",
            {"m15_bars.splits_explain_prices"},
            ("first", "2025-11-25: a split is known, but the price does not show it"),
            id="a split that no price shows",
        ),
    ],
)
def test_a_check_fails_when_what_it_promises_is_broken(
    desk: Desk, spoiling: str, failing: set[str], fact: tuple[str, str]
) -> None:
    desk.sql(spoiling)
    checks = desk.checks()
    assert {name for name, one in checks.items() if not one.passed} == failing
    key, text = fact
    shown = [found for name in failing if (found := checks[name].metadata.get(key)) is not None]
    assert shown
    assert all(str(found.value).startswith(text) for found in shown)
