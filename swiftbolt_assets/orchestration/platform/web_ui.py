"""Questions to the platform's own Dagster web UI, on loopback.

What belongs here: one question, one answer. What does not: which questions (`presence.py`,
`orchestration/launching.py`). No Dagster here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swiftbolt_assets.errors import SwiftBoltError
from swiftbolt_assets.orchestration.platform.loopback import post

if TYPE_CHECKING:
    from collections.abc import Mapping


def ask(port: int, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the data that a query or mutation yields.

    Raises:
        SwiftBoltError: the web UI does not answer, or refuses the question.

    """
    name = f"the Dagster web UI on port {port}"
    question = {"query": query, "variables": variables or {}}
    answer = post(f"http://127.0.0.1:{port}/graphql", question, name=name)
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict):
        raise SwiftBoltError(f"{name} refused the question")
    return data
