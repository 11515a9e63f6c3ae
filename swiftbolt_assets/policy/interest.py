"""The sources of interest: why somebody's symbol is tracked.

What belongs here: their names, in the order in which the API's message has them. What does not: how
much each counts, which is table `interest_priorities` (a test holds both to the same names).
"""

from __future__ import annotations

SOURCES = ("watchlist", "recent_search", "chart_view")
