"""Whether what a profile needs is installed.

What belongs here: that question. What does not: what a profile is made of (`configuration.py`).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from swiftbolt_assets.errors import ConfigurationError

if TYPE_CHECKING:
    from swiftbolt_assets.settings import Settings

_NEEDED = {"local": (), "celery": ("dagster_celery", "redis"), "k8s": ("dagster_k8s",)}


def require_engine(settings: Settings) -> None:
    """Make sure that a profile's packages are there.

    Raises:
        ConfigurationError: one is not; says how to install it.

    """
    profile = settings.profile
    if any(find_spec(name) is None for name in _NEEDED[profile]):
        raise ConfigurationError(
            f"SWIFTBOLT_PROFILE: {profile} needs packages that are not installed; "
            f"pip install 'swiftbolt[{profile}]', or uv sync --extra {profile}"
        )
