"""A backfill without a platform asks for splits after its bars, and only if a slot is free."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from resources.postgres.database import sibling_database
from resources.postgres.embedded import server as embedded

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

#: The simulator's SPLT splits 10:1 on Monday 2025-09-08.
WINDOW = ("--from", "2025-09-02", "--to", "2025-09-12")
SPLITS = "/stocks/v1/splits"


#: The newest word of the check, in Dagster's own database.
VERDICT = """
select evaluation_event::jsonb #>> '{dagster_event,event_specific_data,success}'
  from asset_check_executions where check_name = 'splits_explain_prices' order by id desc limit 1
"""


def verdict(shell: Any) -> str:
    with psycopg.connect(sibling_database(shell.database_url, "_dagster")) as connection:
        row = connection.execute(VERDICT).fetchone()
    return str(row and row[0])


def paths(market: Any) -> list[str]:
    return [entry["path"] for entry in market.requests() if entry["provider"] == "polygon"]


def test_the_bars_come_first_and_splits_once(shell: Any, market: Callable[..., Any]) -> None:
    provider = market()
    shell.environment["POLYGON_BASE_URL"] = provider.url
    report = shell.run("backfill", "SPLT", *WINDOW, "--json").json
    # What the command tells is about bars.
    assert (report["requests"], report["state"]) == (1, "complete")
    assert paths(provider)[1:] == [SPLITS, SPLITS]
    assert shell.run("backfill", "SPLT", *WINDOW, "--json").code == 0
    assert len(paths(provider)) == 3


def test_a_listing_beside_the_day_is_told_with_both_days_and_the_check_knows_it(
    shell: Any, market: Callable[..., Any]
) -> None:
    provider = market(listing_errors={"SPLT": ("twice", "late"), "REVS": ("never",)})
    shell.environment["POLYGON_BASE_URL"] = provider.url
    with embedded.lease(shell.home):
        assert shell.run("backfill", "SPLT", *WINDOW).code == 0
        # The bars' own look at it was before the list had come.
        assert verdict(shell) == "true"
        told = shell.run("coverage", "SPLT", "--json").json["splits"]
        assert [(one["listed"], one["effective"], one["state"]) for one in told] == [
            ("2025-09-05", "2025-09-08", "moved"),
            ("2025-09-09", None, "repeated"),
        ]
        said = shell.run("coverage", "SPLT").out
        assert "2025-09-05  split 1 to 10: folded on 2025-09-08, where the prices show it" in said
        # What never happened fails the check, and is not folded.
        window = ("--from", "2026-11-02", "--to", "2026-11-13")
        assert shell.run("backfill", "REVS", *window).code == 0
        assert verdict(shell) == "false"
        said = shell.run("coverage", "REVS").out
        assert "2026-11-06  split 1 to 2: not folded: the prices do not show it" in said


def test_splits_take_no_slot_that_bars_may_need(shell: Any, market: Callable[..., Any]) -> None:
    provider = market()
    shell.environment["POLYGON_BASE_URL"] = provider.url
    shell.environment["POLYGON_REQUESTS_PER_MINUTE"] = "2"
    done = shell.run("backfill", "SPLT", *WINDOW, "--json")
    # One slot is left, and it stays free for bars.
    assert (done.code, done.json["state"]) == (0, "complete")
    assert SPLITS not in paths(provider)
