"""Polygon's reference data: tickers, splits, market status.

What belongs here: /v3/reference/tickers and one ticker, /v3/reference/splits and
/stocks/v1/splits, /v1/marketstatus. What does not: bars (`polygon.py`). The list of tickers names
some 12,000 (`directory.py`), one of them twice, as Massive's has been seen to; one ticker, and a
list asked for exactly that ticker, answer for every symbol that exists. A split is announced ten
days before it is executed (chosen here), and may be listed wrongly (`listing_errors.py`).
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from swiftbolt_assets.simulator import polygon_errors as errors
from swiftbolt_assets.simulator.calendar import (
    EXTENDED_OPEN,
    LAST_YEAR,
    NEW_YORK,
    REGULAR_OPEN,
    early_closes,
    holidays,
    session,
)
from swiftbolt_assets.simulator.polygon import plan_at
from swiftbolt_assets.simulator.wire import Reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from swiftbolt_assets.simulator.config import SimulatorConfig
    from swiftbolt_assets.simulator.listing_errors import ListingErrors, Told
    from swiftbolt_assets.simulator.listings import Listing, Listings
    from swiftbolt_assets.simulator.wire import Ask

_ANNOUNCED = timedelta(days=10)
_EXCHANGES = ("NYSE", "NASDAQ", "OTC")
_LISTED_BEFORE = "2010-01-04"
_TWICE = "SPY"
_UPCOMING = timedelta(days=400)


class Reference:
    """The reference endpoints of one simulator."""

    def __init__(
        self, config: SimulatorConfig, listings: Listings, mistakes: ListingErrors
    ) -> None:
        self._config = config
        self._listings = listings
        self._told = mistakes
        self._whole: list[Listing] = []

    def ticker(self, _ask: Ask, values: Mapping[str, str]) -> Reply:
        """Answer with one symbol's details, or 404."""
        listing = self._listings.find(values["ticker"])
        if listing is None or not self._is_listed(listing):
            return errors.NO_TICKER
        details: dict[str, object] = {
            **_ticker(listing),
            "ticker_root": listing.symbol.partition(".")[0],
            "list_date": _LISTED_BEFORE if listing.listed is None else f"{listing.listed}",
        }
        return json_reply({"request_id": errors.BLANK_ID, "results": details, "status": "OK"})

    def tickers(self, ask: Ask, _values: Mapping[str, str]) -> Reply:
        """Answer with the symbols that match `ticker` or, in part, `search`."""
        params = _with_cursor(ask.params)
        exact = params.get("ticker", "")
        # A search is blind to case; a ticker is not.
        search = params.get("search", "").upper()
        listed = [one for one in self._listed() if self._is_listed(one)]
        if exact:
            found = self._listings.find(exact)
            listed = [found] if found is not None and self._is_listed(found) else []
        elif search:
            listed = [one for one in listed if search in f"{one.symbol} {one.name}".upper()]
        if params.get("active", "true") == "false" or params.get("market", "stocks") != "stocks":
            listed = []
        return _page(ask, params, [_ticker(one) for one in listed], default=100, most=1000)

    def splits(self, ask: Ask, _values: Mapping[str, str]) -> Reply:
        """Answer in the older form, newest first."""
        params = _with_cursor(ask.params)
        rows = [
            {
                "id": told.id,
                "execution_date": f"{told.split.day}",
                "split_from": told.split.split_from,
                "split_to": told.split.split_to,
                "ticker": listing.symbol,
            }
            for listing, told in self._splits(params)
        ]
        return _page(ask, params, rows, default=10, most=1000)

    def stock_splits(self, ask: Ask, _values: Mapping[str, str]) -> Reply:
        """Answer in the newer form, newest first; its id of a reply is a bare number."""
        params = _with_cursor(ask.params)
        today = self._today()
        rows = [
            {
                "adjustment_type": "forward_split" if split.ratio > 1 else "reverse_split",
                "execution_date": f"{split.day}",
                # What a price just before the split is multiplied by, later splits included.
                "historical_adjustment_factor": 1
                / listing.adjustment(split.day - timedelta(days=1), max(today, split.day)),
                "id": number,
                "split_from": float(split.split_from),
                "split_to": float(split.split_to),
                "ticker": listing.symbol,
            }
            for listing, (split, number) in self._splits(params)
        ]
        return _page(ask, params, rows, default=100, most=5000, request_id=1)

    def status_now(self, _ask: Ask, _values: Mapping[str, str]) -> Reply:
        """Answer with the state of the market."""
        now = self._config.now().astimezone(NEW_YORK)
        minute = now.hour * 60 + now.minute
        found = session(now.date())
        early = late = is_open = False
        if found is not None:
            early = EXTENDED_OPEN <= minute < REGULAR_OPEN
            late = found.closes <= minute < found.extended_closes
            is_open = REGULAR_OPEN <= minute < found.closes
        market = "open" if is_open else "extended-hours" if early or late else "closed"
        exchanges = dict.fromkeys(("nasdaq", "nyse", "otc"), market)
        return json_reply(
            {
                "afterHours": late,
                "currencies": {"crypto": "open", "fx": "open"},
                "earlyHours": early,
                "exchanges": exchanges,
                "indicesGroups": {"s_and_p": market, "nasdaq": market},
                "market": market,
                "serverTime": now.isoformat(timespec="seconds"),
            }
        )

    def status_upcoming(self, _ask: Ask, _values: Mapping[str, str]) -> Reply:
        """Answer with a bare list of coming closed and short days, one row per exchange."""
        today = self._today()
        days: list[tuple[date, str, bool]] = []
        for year in range(today.year, min(today.year + 2, LAST_YEAR + 1)):
            days += [(day, name, False) for day, name in holidays(year).items()]
            days += [(day, name, True) for day, name in early_closes(year).items()]
        coming = sorted(day for day in days if today < day[0] <= today + _UPCOMING)
        return json_reply(
            [
                {"date": f"{day}", "exchange": exchange, "name": name, **_hours(day, early=early)}
                for day, name, early in coming
                for exchange in _EXCHANGES
            ]
        )

    def _listed(self) -> list[Listing]:
        """Return the list of tickers, made once."""
        if not self._whole:
            for one in self._listings.listed():
                self._whole += [one] * (2 if one.symbol == _TWICE else 1)
        return self._whole

    def _today(self) -> date:
        return self._config.now().astimezone(NEW_YORK).date()

    def _is_listed(self, listing: Listing) -> bool:
        return listing.trades_on(self._today())

    def _splits(self, params: Mapping[str, str]) -> list[tuple[Listing, Told]]:
        """Return the announced splits that a query asks for, newest first."""
        plan = plan_at(self._config, self._config.now())
        ticker = params.get("ticker", "")
        found = self._listings.find(ticker) if ticker else None
        listings: Sequence[Listing] = self._listings.named()
        if ticker:
            listings = [] if found is None else [found]
        splits = [
            (listing, told)
            for listing in listings
            for told in self._told.told(listing, plan.today)
            if plan.first <= told.split.day <= plan.today + _ANNOUNCED
            and _in_range(f"{told.split.day}", params)
        ]
        splits.sort(key=lambda pair: (pair[1].split.day, pair[0].symbol), reverse=True)
        is_ascending = params.get("order") == "asc" or params.get("sort", "").endswith(".asc")
        return splits[::-1] if is_ascending else splits


def _ticker(listing: Listing) -> dict[str, object]:
    return {
        "ticker": listing.symbol,
        "name": listing.name,
        "market": "stocks",
        "locale": "us",
        "primary_exchange": "XNAS",
        "type": "CS",
        "active": True,
        "currency_name": "usd",
    }


def _in_range(day: str, params: Mapping[str, str]) -> bool:
    """Return whether a date passes `execution_date` and its four comparisons."""
    passes = {
        "execution_date": day.__eq__,
        "execution_date.gt": day.__gt__,
        "execution_date.gte": day.__ge__,
        "execution_date.lt": day.__lt__,
        "execution_date.lte": day.__le__,
    }
    return all(compare(params[name]) for name, compare in passes.items() if params.get(name))


def _hours(day: date, *, early: bool) -> dict[str, str]:
    """Return the status of a coming day, with its hours in UTC if it is short."""
    found = session(day)
    if not early or found is None:
        return {"status": "closed"}
    opens, closes = (
        datetime.fromtimestamp(found.at(minute) // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        for minute in (REGULAR_OPEN, found.closes)
    )
    return {"status": "early-close", "open": opens, "close": closes}


def _with_cursor(params: Mapping[str, str]) -> dict[str, str]:
    """Return the query with what its cursor carries; a broken cursor counts as absent."""
    cursor = params.get("cursor", "")
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError:
        text = ""
    return {**params, **dict(parse_qsl(text))}


def _page(
    ask: Ask,
    params: Mapping[str, str],
    rows: Sequence[object],
    *,
    default: int,
    most: int,
    request_id: str | int = errors.BLANK_ID,
) -> Reply:
    """Return one page of a list, with a link to the next one."""
    limit = params.get("limit") or str(default)
    if not limit.isdecimal() or not 1 <= int(limit) <= most:
        return errors.bad_parameter("limit")
    skip = int(params["skip"]) if params.get("skip", "").isdecimal() else 0
    until = skip + int(limit)
    shown = rows[skip:until]
    reply: dict[str, object] = {"results": shown, "status": "OK", "request_id": request_id}
    if "/tickers" in ask.path:
        reply["count"] = len(shown)
    if until < len(rows):
        rest = {k: v for k, v in params.items() if k != "cursor"} | {"skip": str(until)}
        cursor = base64.urlsafe_b64encode(urlencode(rest).encode()).decode().rstrip("=")
        reply["next_url"] = f"{ask.origin}{ask.path}?cursor={cursor}"
    return json_reply(reply)
