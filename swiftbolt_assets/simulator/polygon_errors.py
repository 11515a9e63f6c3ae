"""Polygon's error bodies, as recorded, and the request ids of all its replies.

What belongs here: status and text. What does not: when they are sent.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from swiftbolt_assets.simulator.wire import Reply, json_reply

_PRICING = "Please upgrade your plan at https://polygon.io/pricing"


#: Printed by every body, and filled in when the reply is sent.
BLANK_ID = ""
_BLANK = b'"request_id":""'


def stamped(reply: Reply) -> Reply:
    """Return a reply with a request id of its own, the same in body and header."""
    if "X-Request-Id" in reply.headers and _BLANK not in reply.body:
        return reply
    request_id = uuid.uuid4().hex
    body = reply.body.replace(_BLANK, f'"request_id":"{request_id}"'.encode(), 1)
    return replace(reply, body=body, headers={**reply.headers, "X-Request-Id": request_id})


def _error(status: int, text: str) -> Reply:
    return json_reply({"status": "ERROR", "request_id": BLANK_ID, "error": text}, status)


def _refusal(status: int, word: str, text: str) -> Reply:
    return json_reply({"status": word, "request_id": BLANK_ID, "message": text}, status)


def bad_time(name: str) -> Reply:
    """Return the 400 for an end of the range that is no time."""
    return _error(
        400,
        f"Could not parse the time parameter: '{name}'. Use YYYY-MM-DD or Unix MS Timestamps",
    )


def bad_parameter(name: str) -> Reply:
    """Return the 400 for another parameter (text chosen here, none is recorded)."""
    return _error(400, f"The parameter '{name}' is not valid")


REVERSED = _error(400, "The parameter 'to' cannot be a time that occurs before 'from'")
NO_KEY = _error(401, "API Key was not provided")
UNKNOWN_KEY = _error(401, "Unknown API Key")
BEYOND_PLAN = _refusal(
    403, "NOT_AUTHORIZED", f"Your plan doesn't include this data timeframe. {_PRICING}"
)
NOT_ENTITLED = _refusal(
    403,
    "NOT_AUTHORIZED",
    "You are not entitled to this data. Please upgrade your plan at https://massive.com/pricing",
)
NOT_YET = _refusal(
    403, "NOT_AUTHORIZED", f"Attempted to request today's data before end of day. {_PRICING}"
)
NO_TICKER = _refusal(404, "NOT_FOUND", "Ticker not found.")
TOO_MANY = _error(
    429,
    "You've exceeded the maximum requests per minute, please wait or upgrade your subscription "
    "to continue. https://polygon.io/pricing",
)
# Once seen with a 200: the body's status must be read even on success.
NOT_AUTHORIZED_200 = replace(NOT_ENTITLED, status=200)
