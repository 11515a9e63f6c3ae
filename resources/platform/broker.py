"""The Redis that hands runs to workers: whether it answers.

What belongs here: asking it. What does not: what goes through it (`orchestration/celery/app.py`).
"""

from __future__ import annotations

from swiftbolt_assets.errors import SwiftBoltError

_ANSWER_S = 3.0


def require_broker(url: str) -> None:
    """Make sure that the broker answers.

    Raises:
        SwiftBoltError: it does not; one line, without the password.

    """
    # Not at the top: only one profile has it.
    import redis

    with redis.Redis.from_url(
        url, socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S
    ) as connection:
        try:
            connection.ping()
        except redis.RedisError as error:
            reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
            raise SwiftBoltError(
                f"SWIFTBOLT_BROKER_URL: {_place(url)} does not answer ({reason}); start Redis "
                "there, or name another"
            ) from error


def _place(url: str) -> str:
    """Return a broker's address without its credentials."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
