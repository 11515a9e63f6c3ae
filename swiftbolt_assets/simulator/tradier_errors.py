"""Tradier's error bodies, as recorded; its gateway speaks JSON or XML like its endpoints.

What belongs here: status and text. What does not: when they are sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from swiftbolt_assets.simulator.wire import Reply, json_text, xml_text

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON_TYPE = "application/json;charset=UTF-8"
XML_TYPE = "application/xml;charset=UTF-8"

#: No `Bearer` at all. The content type is spelled so by the server.
NO_TOKEN = Reply(401, b"Invalid Access Token", "plain/text")


def spoken(value: Mapping[str, object], accept: str, status: int = 200) -> Reply:
    """Return a value as JSON if the request asks for it by name, else as XML."""
    if "application/json" in accept:
        return Reply(status, json_text(value).encode(), JSON_TYPE)
    return Reply(status, xml_text(value).encode(), XML_TYPE)


def bad_request(text: str) -> Reply:
    """Return the 400 with its plain text."""
    return Reply(400, text.encode(), "text/plain;charset=UTF-8")


def _fault(text: str, code: str, accept: str, status: int) -> Reply:
    fault = {"fault": {"faultstring": text, "detail": {"errorcode": code}}}
    return spoken(fault, accept, status)


def unknown_token(accept: str) -> Reply:
    """Return the 401 for a token that does not exist."""
    code = "keymanagement.service.invalid_access_token"
    return _fault("Invalid Access Token", code, accept, 401)


def quota(accept: str, status: int) -> Reply:
    """Return the refusal of one request too many (429, or 500 from older gateways)."""
    text = "Rate limit quota violation. Quota limit  exceeded. Identifier : simulated"
    return _fault(text, "policies.ratelimit.QuotaViolation", accept, status)


def datastore(accept: str) -> Reply:
    """Return the transient 500 of the server behind the gateway."""
    return _fault("Datastore Error", "steps.servicecallout.ExecutionFailed", accept, 500)


def downstream(accept: str) -> Reply:
    """Return an error that comes with a 200."""
    return spoken({"errors": {"error": "An error occurred while communicating"}}, accept)
