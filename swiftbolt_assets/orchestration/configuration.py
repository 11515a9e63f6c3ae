"""The configuration files of each profile, filled in from the settings.

The templates are `profiles/*.yaml`; credentials stay in the environment, or in Kubernetes' secrets,
which they name. What belongs here: their text. What does not: where it is written (`instance.py`,
`cli/commands/env.py`).
"""

from __future__ import annotations

import json
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from resources.providers.registry import PROVIDERS
from swiftbolt_assets.database_url import DatabaseUrl
from swiftbolt_assets.errors import ConfigurationError
from swiftbolt_assets.policy.admission import shared_slots

if TYPE_CHECKING:
    from swiftbolt_assets.settings import Settings

_POSTGRES_PORT = 5432


def dagster_yaml(settings: Settings) -> str:
    """Return the text of `dagster.yaml` for the settings' profile.

    Raises:
        ConfigurationError: the profile needs a setting that is not set.

    """
    values = _limits(settings)
    if settings.profile == "k8s":
        values |= _image(settings)
    engine = _template(f"{settings.profile}.yaml").substitute(values).rstrip()
    return _template("dagster.yaml").substitute(profile=settings.profile, engine=engine)


def configuration_files(settings: Settings, dagster_url: str) -> dict[str, str]:
    """Return all files of the settings' profile, by name.

    Args:
        settings: the settings.
        dagster_url: of Dagster's database; Kubernetes' files take its host, not its password.

    Raises:
        ConfigurationError: the profile needs a setting that is not set.

    """
    texts = {"dagster.yaml": dagster_yaml(settings)}
    if settings.profile == "k8s":
        values = _limits(settings) | _image(settings) | _database(settings, dagster_url)
        values |= {
            "first_date": settings.first_date,
            "shards": settings.shards,
            "budgets": "\n  ".join(
                f'{provider.per_minute_variable}: "{settings.providers[provider.name].per_minute}"'
                for provider in PROVIDERS
            ),
            "resample_h1": str(settings.resample_h1).lower(),
            "resample_h4": str(settings.resample_h4).lower(),
        }
        texts |= {name: _template(name).substitute(values) for name in ("values.yaml", "api.yaml")}
    return texts


def _limits(settings: Settings) -> dict[str, object]:
    return {
        "runs": settings.max_concurrent_jobs,
        "all_runs": settings.max_concurrent_jobs + 1,
        "bulk": shared_slots(settings.max_concurrent_jobs),
    }


def _image(settings: Settings) -> dict[str, object]:
    if settings.image is None:
        raise ConfigurationError(
            "SWIFTBOLT_IMAGE: it is unset, and the profile k8s starts pods of it; use "
            "REGISTRY/NAME:TAG, built with the Dockerfile"
        )
    repository, _, tag = settings.image.rpartition(":")
    return {
        "image": settings.image,
        "repository": repository,
        "tag": f'"{tag}"',
        "namespace": settings.namespace,
    }


def _database(settings: Settings, dagster_url: str) -> dict[str, object]:
    url = DatabaseUrl.parse(dagster_url)
    is_reached = url.host and not url.host.startswith("/")
    if settings.database_url is None or not (is_reached and url.user):
        raise ConfigurationError(
            "SWIFTBOLT_DATABASE_URL: the profile k8s needs a Postgres that pods reach; use "
            "postgresql://USER:PASSWORD@HOST:5432/DATABASE"
        )
    # Each is a string of YAML's, too.
    named = {"host": url.host, "user": url.user, "database": url.database}
    quoted = {name: json.dumps(value, ensure_ascii=False) for name, value in named.items()}
    return quoted | {"port": url.port or _POSTGRES_PORT}


def _template(name: str) -> Template:
    return Template(files(__package__).joinpath("profiles", name).read_text("utf-8"))
