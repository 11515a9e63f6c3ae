"""Questions to the platform's own Dagster web UI, on loopback.

What belongs here: one question, one answer. What does not: which questions (`presence.py`,
`launching.py`). No Dagster here, and no client library: importing it costs more than a question.
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


def ask(port: int, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the data that a query or mutation yields.

    Raises:
        SwiftBoltError: the web UI does not answer, or refuses the question.

    """
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": query, "variables": variables or {}}).encode(),
        headers={"Content-Type": "application/json"},
    )
    # Without the proxies of the environment: they would look for our loopback on their machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_ANSWER_S) as reply:
            answer = json.load(reply)
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise SwiftBoltError(f"the Dagster web UI on port {port}: {reason}") from error
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise SwiftBoltError(f"the Dagster web UI on port {port} refused the question")
    return data
