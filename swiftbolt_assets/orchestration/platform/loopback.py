"""Questions to the platform's own servers.

What belongs here: one JSON question, one JSON answer. What does not: which questions
(`web_ui.py`, `swiftbolt_assets/cli/commands/deploy.py`). No client library: importing one costs
more than a question.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from swiftbolt_assets.errors import SwiftBoltError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANSWER_S = 10.0


def post(url: str, body: Mapping[str, Any], *, name: str, key: str | None = None) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON that a server answers.

    Args:
        url: on this machine.
        body: sent as JSON.
        name: the server's, for messages.
        key: sent as bearer.

    Raises:
        SwiftBoltError: it does not answer, or not with JSON; an error's own words are kept.

    """
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)  # noqa: S310
    # Without the proxies of the environment: they would look for our loopback on their machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_ANSWER_S) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        raise SwiftBoltError(f"{name}: HTTP {error.code}: {_told(error)}") from error
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise SwiftBoltError(f"{name}: {reason}") from error


def _told(error: urllib.error.HTTPError) -> str:
    try:
        body = json.load(error)
    except ValueError:
        return error.reason
    return str(body.get("error", error.reason)) if isinstance(body, dict) else error.reason
