"""The simulator as one ASGI application: both providers, and its own controls.

Polygon answers under /v1/marketstatus, /v2, /v3 and /stocks/v1, Tradier under /v1/markets, so one
port serves both. The controls need no key and answer to loopback only:

- GET /simulator: seed, market time and plan.
- GET, PUT /simulator/listings: how splits are listed wrongly (`listing_errors.py`).
- GET /simulator/truth/{symbol}/{timeframe}?from=&to=&at=: the bars a client should end up with;
  with `at`, those that Polygon delivers at that instant.
- GET, PUT, DELETE /simulator/faults: what goes wrong by chance (`faults.py`).
- GET, PUT, DELETE /simulator/unreliable: what is late, wrong or refused (`unreliable.py`).
- GET, DELETE /simulator/requests: what was asked.

What belongs here: routes, the order gate -> answer -> fault -> reply, headers, gzip. What does
not: the answers themselves, sockets (`server.py`).
"""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import asdict, replace
from datetime import date
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.simulator.faults import Faults, parse_plan
from swiftbolt_assets.simulator.gate import PolygonGate, TradierGate, bearer
from swiftbolt_assets.simulator.ledger import Ledger
from swiftbolt_assets.simulator.listing_errors import ListingErrors, parse_kinds
from swiftbolt_assets.simulator.listings import Listings
from swiftbolt_assets.simulator.polygon import Aggregates
from swiftbolt_assets.simulator.polygon_errors import stamped
from swiftbolt_assets.simulator.polygon_reference import Reference
from swiftbolt_assets.simulator.prices import Market
from swiftbolt_assets.simulator.tradier import Timesales
from swiftbolt_assets.simulator.tradier_markets import Markets
from swiftbolt_assets.simulator.truth import TIMEFRAMES, Truth
from swiftbolt_assets.simulator.unreliable import (
    Delivery,
    Unreliable,
    instant,
    parse_unreliable,
    unreliable_json,
)
from swiftbolt_assets.simulator.wire import Ask, BarPage, Reply

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from swiftbolt_assets.simulator.config import SimulatorConfig
    from swiftbolt_assets.simulator.ledger import Entry

    Answer = Callable[[Ask, Mapping[str, str]], Reply | BarPage]

#: Where the server puts the connection, so that a fault can close it.
TRANSPORT = "swiftbolt.transport"
_AGGREGATES = "/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{from}/{to}"
_AGGREGATED = "/v2/aggs/"
_POLYGON, _TRADIER = "polygon", "tradier"
_UNAUTHORIZED = 401
_GZIP_LEVEL = 1
# Half of a body in which a fault leaves the reader waiting for the rest.
_HALF = 2


def build_app(config: SimulatorConfig) -> Starlette:
    """Return the application of one simulator."""
    market, listings = Market(config.seed), Listings(config.extra_splits, config.delistings)
    desk = _Desk(config)
    aggregates = Aggregates(config, market, listings, desk.delivery)
    mistakes = ListingErrors(config.listing_errors)
    reference = Reference(config, listings, mistakes)
    timesales = Timesales(config, market, listings)
    markets = Markets(config, market, listings)
    truth = Truth(config, market, listings, desk.delivery)
    controls = _Controls(config, truth, desk, mistakes)
    polygon: dict[str, Answer] = {
        _AGGREGATES: aggregates.range,
        "/v2/aggs/ticker/{ticker}/prev": aggregates.previous,
        "/v3/reference/tickers": reference.tickers,
        "/v3/reference/tickers/{ticker}": reference.ticker,
        "/v3/reference/splits": reference.splits,
        "/stocks/v1/splits": reference.stock_splits,
        "/v1/marketstatus/now": reference.status_now,
        "/v1/marketstatus/upcoming": reference.status_upcoming,
    }
    tradier: dict[str, Answer] = {
        "/v1/markets/timesales": timesales.answer,
        "/v1/markets/clock": markets.clock,
        "/v1/markets/calendar": markets.calendar,
        "/v1/markets/quotes": markets.quotes,
    }
    routes = [
        Route("/simulator", controls.about),
        Route("/simulator/truth/{symbol}/{timeframe}", controls.truth),
        Route("/simulator/faults", controls.faults, methods=["GET", "PUT", "DELETE"]),
        Route("/simulator/listings", controls.listings, methods=["GET", "PUT"]),
        Route("/simulator/unreliable", controls.unreliable, methods=["GET", "PUT", "DELETE"]),
        Route("/simulator/requests", controls.requests, methods=["GET", "DELETE"]),
    ]
    routes += [Route(path, desk.endpoint(_POLYGON, answer)) for path, answer in polygon.items()]
    routes += [Route(path, desk.endpoint(_TRADIER, answer)) for path, answer in tradier.items()]
    return Starlette(routes=routes)


class _Desk:
    """Takes provider requests: gate, answer, fault, reply."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self.ledger = Ledger()
        self.faults = Faults()
        self.delivery = Delivery(config.unreliable)
        self._polygon_gate = PolygonGate(config)
        self._tradier_gate = TradierGate(config)

    def endpoint(self, provider: str, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """Return the HTTP endpoint of one answer."""

        async def endpoint(request: Request) -> Response:
            params = dict(request.query_params)
            key = params.pop("apiKey", "") if provider == _POLYGON else ""
            entry = self.ledger.open(self._config.seconds(), provider, request.url.path, params)
            ask = Ask(
                path=request.url.path,
                params=params,
                accept=request.headers.get("accept", ""),
                origin=str(request.base_url).rstrip("/"),
            )
            if self._config.latency_seconds:
                await asyncio.sleep(self._config.latency_seconds)
            refusal = self._refuse(request, provider, key)
            values = request.path_params
            result = answer(ask, values) if refusal is None else refusal
            if refusal is None and request.url.path.startswith(_AGGREGATED):
                entry.fault = self.delivery.trouble(values["ticker"], self._config.now())
            entry.fault = entry.fault or self.faults.draw(provider, result)
            if entry.fault == "unadjusted_flag":
                result = answer(_opposite(ask), values)
            reply = self._printed(provider, ask, result, entry)
            return await self._sent(request, provider, reply, entry)

        return endpoint

    def _refuse(self, request: Request, provider: str, key: str) -> Reply | None:
        authorization = request.headers.get("authorization", "")
        if provider == _POLYGON:
            return self._polygon_gate.refuse(key or bearer(authorization))
        return self._tradier_gate.refuse(authorization, request.headers.get("accept", ""))

    def _printed(self, provider: str, ask: Ask, result: Reply | BarPage, entry: Entry) -> Reply:
        """Return the reply's text, spoilt if the entry says so."""
        if isinstance(result, BarPage):
            if entry.fault is not None:
                result = self.faults.spoil_page(entry.fault, result)
            result = result.print_page(result)
        reply = stamped(result) if provider == _POLYGON else result
        if entry.fault is None:
            return reply
        reply = self.faults.spoil_reply(entry.fault, provider, ask, reply)
        return stamped(reply) if provider == _POLYGON else reply

    async def _sent(self, request: Request, provider: str, reply: Reply, entry: Entry) -> Response:
        """Return the HTTP response, late or cut off if the entry says so."""
        headers = dict(reply.headers)
        if provider == _TRADIER and reply.status != _UNAUTHORIZED:
            headers |= self._tradier_gate.headers(request.headers.get("authorization", ""))
        reply = replace(reply, headers=headers)
        if entry.fault == "slow" and self.faults.plan is not None:
            await asyncio.sleep(self.faults.plan.seconds)
        if entry.fault == "drop":
            return _Dropped(reply, is_silent=self.faults.is_silent_drop())
        entry.status = reply.status
        return _response(reply, request.headers.get("accept-encoding", ""))


class _Dropped(Response):
    """A reply whose connection closes before or within it."""

    def __init__(self, reply: Reply, *, is_silent: bool) -> None:
        super().__init__(reply.body, reply.status, dict(reply.headers), reply.content_type)
        self._is_silent = is_silent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        transport: Transport | None = scope.get(TRANSPORT)
        if transport is None:
            raise ConnectionResetError("the simulator dropped this connection")
        if not self._is_silent:
            start = {"type": "http.response.start", "status": self.status_code}
            await send({**start, "headers": self.raw_headers})
            half = bytes(self.body[: len(self.body) // _HALF])
            await send({"type": "http.response.body", "body": half, "more_body": True})
        transport.abort()
        # The server must see the loss before this returns, or it answers 500 in its place.
        await asyncio.sleep(0)
        await asyncio.sleep(0)


class _Controls:
    """The simulator's own endpoints."""

    def __init__(
        self, config: SimulatorConfig, truth: Truth, desk: _Desk, mistakes: ListingErrors
    ) -> None:
        self._config = config
        self._truth = truth
        self._desk = desk
        self._mistakes = mistakes

    async def about(self, request: Request) -> Response:
        """Return the seed, the market time and the plan."""
        if not _is_loopback(request):
            return _forbidden()
        config = self._config
        return JSONResponse(
            {
                "seed": config.seed,
                "now": config.now().isoformat(),
                "polygon_requests_per_minute": config.polygon_requests_per_minute,
                "polygon_recency": config.polygon_recency,
                "horizon_years": config.horizon_years,
                "tradier_allowed": config.tradier_allowed,
            }
        )

    async def truth(self, request: Request) -> Response:
        """Return the true bars of a symbol, a timeframe and a range of dates."""
        if not _is_loopback(request):
            return _forbidden()
        timeframe = request.path_params["timeframe"]
        if timeframe not in TIMEFRAMES:
            return _wrong(f"timeframe: it is unknown; use one of {', '.join(TIMEFRAMES)}")
        days: list[date] = []
        for name in ("from", "to"):
            try:
                days.append(date.fromisoformat(request.query_params.get(name, "")))
            except ValueError:
                return _wrong(f"{name}: it is no date; write YYYY-MM-DD")
        text = request.query_params.get("at")
        try:
            at = None if text is None else instant(text, "at")
        except UsageError as error:
            return _wrong(str(error))
        return JSONResponse(
            self._truth.bars(request.path_params["symbol"], timeframe, days[0], days[1], at)
        )

    async def faults(self, request: Request) -> Response:
        """Read, switch or end the faults."""
        if not _is_loopback(request):
            return _forbidden()
        faults = self._desk.faults
        if request.method == "DELETE":
            faults.switch(None)
        elif request.method == "PUT":
            try:
                faults.switch(parse_plan(json.loads(await request.body())))
            except ValueError:
                return _wrong("faults: the body is no JSON; send an object")
            except UsageError as error:
                return _wrong(str(error))
        plan: dict[str, Any] | None = None if faults.plan is None else asdict(faults.plan)
        return JSONResponse({"plan": plan, "spoilt": faults.spoilt})

    async def listings(self, request: Request) -> Response:
        """Read or switch how splits are listed wrongly; `{}` ends it."""
        if not _is_loopback(request):
            return _forbidden()
        if request.method == "PUT":
            try:
                self._mistakes.kinds = parse_kinds(json.loads(await request.body()))
            except ValueError:
                return _wrong("listings: the body is no JSON; send an object")
            except UsageError as error:
                return _wrong(str(error))
        return JSONResponse({symbol: list(kinds) for symbol, kinds in self._mistakes.kinds.items()})

    async def unreliable(self, request: Request) -> Response:
        """Read, switch or end what is late, wrong or refused."""
        if not _is_loopback(request):
            return _forbidden()
        delivery = self._desk.delivery
        if request.method == "DELETE":
            delivery.plan = Unreliable()
        elif request.method == "PUT":
            try:
                delivery.plan = parse_unreliable(json.loads(await request.body()))
            except ValueError:
                return _wrong("unreliable: the body is no JSON; send an object")
            except UsageError as error:
                return _wrong(str(error))
        return JSONResponse(unreliable_json(delivery.plan))

    async def requests(self, request: Request) -> Response:
        """Return the log of provider requests, or empty it."""
        if not _is_loopback(request):
            return _forbidden()
        entries = self._desk.ledger.entries
        if request.method == "DELETE":
            entries.clear()
        return JSONResponse([asdict(entry) for entry in entries])


def _response(reply: Reply, encodings: str) -> Response:
    """Return the HTTP response, packed if the client accepts it."""
    headers = {"Vary": "Accept-Encoding", **reply.headers}
    body = reply.body
    if "gzip" in encodings:
        # A fixed time stamp: the same reply is the same bytes.
        body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    response = Response(body, reply.status, headers)
    response.headers["Content-Type"] = reply.content_type
    return response


def _opposite(ask: Ask) -> Ask:
    """Return the request with the other price basis."""
    is_raw = ask.params.get("adjusted", "true").lower() == "false"
    return replace(ask, params={**ask.params, "adjusted": "true" if is_raw else "false"})


def _is_loopback(request: Request) -> bool:
    return request.client is not None and ip_address(request.client.host).is_loopback


def _forbidden() -> Response:
    return JSONResponse({"error": "the simulator's controls answer to loopback only"}, 403)


def _wrong(text: str) -> Response:
    return JSONResponse({"error": text}, 400)
