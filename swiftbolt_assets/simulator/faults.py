"""What can be made to go wrong, on request and repeatably.

=====================  ==========================================================================
any successful reply
``500``                a JSON error (Tradier: the fault "Datastore Error") with status 500
``502``                a gateway's HTML page with status 502
``429``                the request limit's refusal, though the limit is not reached
``drop``               the connection closes, by chance before the reply or in its middle
``truncate``           half of the body with a matching length: JSON that breaks off
``html200``            an HTML page with status 200
``not_authorized_200`` status 200 with an error in the body (Tradier: ``errors``)
``slow``               the right reply, `seconds` late (default 3)
a page of bars
``duplicate``          a bar comes twice in a row
``disorder``           two neighbours are swapped
``foreign_date``       a bar of 30 days earlier is mixed in
``nan``                an open price is the bare word NaN
``negative``           a low price has a minus sign
``string_price``       a close price is a string
``misaligned``         a bar starts 7 minutes late
``null_page``          the list of bars is null, the counts are not
``empty``              no bars, as on a holiday
Polygon's page alone
``wrong_ticker``       the echo names another symbol
``next_url_loop``      the next page is this page
``lost_next_url``      there is a next page, but no link to it
``unadjusted_flag``    `adjusted` is the opposite of what was asked, and so are the bars
a page of bars, drawn only when named
``hour_shift``         all bars are an hour late
``late_bars``          all bars are 8 minutes late
``spike_price``        a high price is 100 times what it was
``huge_volume``        a volume is a million times what it was
Polygon's page alone, drawn only when named
``seconds_stamps``     all bars carry seconds where milliseconds belong
=====================  ==========================================================================

A kind that a reply cannot show (no bars, no next page, Tradier) is not drawn for it. Refusals are
never spoilt. What belongs here: the switch, the draw and the damage. What does not: when replies
are made (`app.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from swiftbolt_assets.errors import UsageError
from swiftbolt_assets.simulator import polygon_errors, tradier_errors
from swiftbolt_assets.simulator.wire import BarPage, Reply, Row, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swiftbolt_assets.simulator.wire import Ask

ANY_REPLY = ("500", "502", "429", "drop", "truncate", "html200", "not_authorized_200", "slow")
BAR_PAGE = (
    "duplicate",
    "disorder",
    "foreign_date",
    "nan",
    "negative",
    "string_price",
    "misaligned",
    "null_page",
    "empty",
)
POLYGON_PAGE = ("wrong_ticker", "next_url_loop", "lost_next_url", "unadjusted_flag")
KINDS = ANY_REPLY + BAR_PAGE + POLYGON_PAGE
#: What looks like an honest reply and is none: drawn only when a plan names it.
CREDIBLE = ("hour_shift", "late_bars", "spike_price", "huge_volume", "seconds_stamps")
ALL_KINDS = KINDS + CREDIBLE

_MONTH = -30 * 24 * 60
_ASTRAY = 7
_LATE = {"hour_shift": 60, "late_bars": 8}
_TWO = 2
_BAD_GATEWAY = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>"
)
_PAGE = b"<!DOCTYPE html>\n<html><head><title>API</title></head><body>Documentation</body></html>"


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Which faults are on.

    Attributes:
        rate: probability that a reply is spoilt, 0 to 1.
        kinds: what is drawn from, all alike.
        seed: of the draw; the same requests in the same order meet the same faults.
        times: at most so many faults in all; None = without limit.
        provider: `polygon` or `tradier` alone; None = both.
        seconds: how late a slow reply is.

    """

    rate: float = 1.0
    kinds: tuple[str, ...] = KINDS
    seed: int = 1
    times: int | None = None
    provider: str | None = None
    seconds: float = 3.0


def parse_plan(value: object) -> FaultPlan:
    """Return the plan that a JSON object describes; absent keys keep their defaults.

    Raises:
        UsageError: a key is unknown or its value impossible; the message names it.

    """
    if not isinstance(value, dict):
        raise UsageError("faults: the body is no JSON object; send one such as {}")
    checks: dict[str, Callable[[object], bool]] = {
        "rate": lambda rate: _is_number(rate, 1.0),
        "kinds": lambda kinds: (
            isinstance(kinds, list) and bool(kinds) and all(kind in ALL_KINDS for kind in kinds)
        ),
        "seed": lambda seed: isinstance(seed, int),
        "times": lambda times: times is None or (isinstance(times, int) and times >= 0),
        "provider": lambda name: name in (None, "polygon", "tradier"),
        "seconds": lambda seconds: _is_number(seconds, 600.0),
    }
    for key, item in value.items():
        if key not in checks:
            raise UsageError(f"{key}: it is no setting of faults; use {', '.join(checks)}")
        if not checks[key](item):
            raise UsageError(f"{key}: {item!r} is not possible; kinds are {', '.join(ALL_KINDS)}")
    known: dict[str, Any] = {**value, "kinds": tuple(value.get("kinds", KINDS))}
    return FaultPlan(**known)


def _is_number(value: object, most: float) -> bool:
    return isinstance(value, int | float) and 0 <= value <= most


class Faults:
    """The switch: off at first."""

    def __init__(self) -> None:
        self.plan: FaultPlan | None = None
        self.spoilt = 0
        self._random = Random()  # noqa: S311 - chance, not secrets

    def switch(self, plan: FaultPlan | None) -> None:
        """Start a plan from its seed, or end all faults."""
        self.plan = plan
        self.spoilt = 0
        self._random = Random(None if plan is None else plan.seed)  # noqa: S311

    def draw(self, provider: str, result: Reply | BarPage) -> str | None:
        """Return the kind of fault for a reply, or None."""
        plan = self.plan
        if plan is None or plan.provider not in {None, provider}:
            return None
        if isinstance(result, Reply) and result.status != 200:  # noqa: PLR2004 - HTTP
            return None
        if plan.times is not None and self.spoilt >= plan.times:
            return None
        if self._random.random() >= plan.rate:
            return None
        possible = [kind for kind in plan.kinds if _applies(kind, result)]
        if not possible:
            return None
        self.spoilt += 1
        return self._random.choice(possible)

    def is_silent_drop(self) -> bool:
        """Return whether a dropped connection closes before the reply has begun."""
        return self._random.random() < 0.5  # noqa: PLR2004 - one in two

    def spoil_page(self, kind: str, page: BarPage) -> BarPage:
        """Return a page with the damage of a kind; kinds of other places leave it whole."""
        rows = list(page.rows)
        at = self._random.randrange(len(rows)) if rows else 0
        if kind == "wrong_ticker":
            return replace(page, ticker="WRONG")
        if kind == "lost_next_url":
            return replace(page, next_url=None)
        if kind == "next_url_loop":
            return replace(page, next_url=page.own_url)
        if kind == "null_page":
            return replace(page, null_rows=True, next_url=None)
        if kind == "empty":
            return replace(page, rows=[], base_count=0, next_url=None)
        return replace(page, rows=_spoilt_rows(kind, page, rows, at) if rows else rows)

    def spoil_reply(self, kind: str, provider: str, ask: Ask, reply: Reply) -> Reply:
        """Return the reply that a kind puts in the place of another one."""
        if kind == "truncate":
            return replace(reply, body=reply.body[: len(reply.body) // 2])
        is_tradier = provider == "tradier"
        error = {
            "status": "ERROR",
            "request_id": polygon_errors.BLANK_ID,
            "error": "Internal server error",
        }
        refusal, quota = polygon_errors.NOT_AUTHORIZED_200, tradier_errors.quota(ask.accept, 429)
        replies = {
            "500": tradier_errors.datastore(ask.accept) if is_tradier else json_reply(error, 500),
            "502": Reply(502, _BAD_GATEWAY, "text/html"),
            "400": polygon_errors.REVERSED,
            "403": polygon_errors.NOT_ENTITLED,
            "429": quota if is_tradier else polygon_errors.TOO_MANY,
            "html200": Reply(200, _PAGE, "text/html; charset=utf-8"),
            "not_authorized_200": tradier_errors.downstream(ask.accept) if is_tradier else refusal,
        }
        return replies.get(kind, reply)


def _applies(kind: str, result: Reply | BarPage) -> bool:
    """Return whether a reply can show a kind of fault."""
    if kind in ANY_REPLY:
        return True
    if isinstance(result, Reply) or not result.rows:
        return False
    if kind == "lost_next_url":
        return result.next_url is not None
    if kind in POLYGON_PAGE or kind == "seconds_stamps":
        return bool(result.ticker)
    return kind != "disorder" or len(result.rows) >= _TWO


def _spoilt_rows(kind: str, page: BarPage, rows: list[Row], at: int) -> list[Row]:
    """Return the rows with one bar, or all, at fault."""
    opens, high, low, close = page.prices
    row = rows[at]
    if kind in _LATE:
        return [page.moved(one, _LATE[kind]) for one in rows]
    if kind == "seconds_stamps":
        return [{**one, "t": str(int(one["t"]) // 1000)} for one in rows]
    if kind == "duplicate":
        return [*rows[: at + 1], dict(row), *rows[at + 1 :]]
    if kind == "foreign_date":
        return [*rows[:at], page.moved(row, _MONTH), *rows[at:]]
    if kind == "disorder":
        at = min(at, len(rows) - _TWO)
        return [*rows[:at], rows[at + 1], rows[at], *rows[at + 2 :]]
    changed: Mapping[str, Row] = {
        "nan": {**row, opens: "NaN"},
        "negative": {**row, low: "-" + row[low]},
        "string_price": {**row, close: f'"{row[close]}"'},
        "misaligned": page.moved(row, _ASTRAY),
        "spike_price": {**row, high: repr(float(row[high]) * 100)},
        "huge_volume": {**row, page.volume: repr(float(row[page.volume]) * 1e6)},
    }
    return [*rows[:at], changed.get(kind, row), *rows[at + 1 :]]
