"""What was tracked as `watchlist`, by whatever way, stands in the person's own watchlist."""

# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

SYMBOLS = "insert into symbols (ticker) select unnest(%s::text[]) on conflict do nothing"
TRACK = """
insert into user_symbol_tracking (user_id, symbol_id, source)
select %s, id, %s from symbols where ticker = any(%s)
"""


def track(api: Any, user: UUID, *tickers: str, source: str = "watchlist") -> None:
    """Record interest by plain SQL, as the command line and other programs do."""
    api.sql(
        "insert into symbols (ticker) select unnest(%s::text[]) on conflict do nothing",
        list(tickers),
    )
    api.sql(TRACK, user, source, list(tickers))


def listed(api: Any, key: str, watchlist: str | None = None) -> list[str]:
    body = {"action": "list"} | ({"watchlistId": watchlist} if watchlist else {})
    return [item["symbol"] for item in api.post("watchlist-sync", body, key=key).json["items"]]


def change(api: Any, key: str, action: str, symbol: str) -> list[str]:
    reply = api.post("watchlist-sync", {"action": action, "symbol": symbol}, key=key)
    assert reply.status == 200, reply.body
    return listed(api, key)


def test_what_a_program_tracks_is_listed_and_removed_like_any_other(
    api: Any, user: UUID, token: Callable[..., str]
) -> None:
    key = token(user)
    track(api, user, "AAPL", "MSFT")
    track(api, user, "NVDA", source="chart_view")
    assert change(api, key, "add", "TSLA") == ["AAPL", "MSFT", "TSLA"]
    reply = api.post("watchlist-sync", {"action": "remove", "symbol": "AAPL"}, key=key)
    assert reply.json["message"] == "AAPL removed"
    assert listed(api, key) == ["MSFT", "TSLA"]
    assert api.sql(
        "select s.ticker, t.source from user_symbol_tracking t join symbols s on s.id = t.symbol_id"
        " where t.user_id = %s order by 1",
        user,
    ) == [("MSFT", "watchlist"), ("NVDA", "chart_view"), ("TSLA", "watchlist")]
    assert change(api, key, "add", "AAPL")[-1] == "AAPL"


def test_it_is_on_the_oldest_list_only_and_nobody_elses(
    api: Any, user: UUID, token: Callable[..., str]
) -> None:
    key = token(user)
    track(api, user, "AAPL")
    assert listed(api, key) == ["AAPL"]
    (second,) = api.sql(
        "insert into watchlists (user_id, name) values (%s, 'second') returning id", user
    )
    assert listed(api, key, str(second[0])) == []
    (other,) = api.sql("insert into auth.users (id) values (gen_random_uuid()) returning id")
    assert listed(api, token(other[0])) == []


def test_a_list_shows_fifty_and_what_was_put_on_it_first(
    api: Any, user: UUID, token: Callable[..., str]
) -> None:
    key = token(user)
    track(api, user, *(f"S{number}" for number in range(60)))
    assert len(listed(api, key)) == 50
    found = change(api, key, "add", "TSLA")
    assert len(found) == 50
    assert "TSLA" in found
