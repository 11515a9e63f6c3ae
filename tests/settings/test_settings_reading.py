"""Every variable, good and bad; whatever stands in them, the answer is settings or one line."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swiftbolt_assets.errors import ConfigurationError
from swiftbolt_assets.settings import CHECKOUT, CLOCK_OFFSET, read_settings

if TYPE_CHECKING:
    from swiftbolt_assets.settings import Settings

BAD = [
    ("SWIFTBOLT_HOME", "~no-such-user-here/state"),
    ("SWIFTBOLT_DATABASE_URL", "mysql://user:pw@host/bars"),
    ("SWIFTBOLT_DATABASE_URL", "localhost:5432/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://host"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://host/"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql:host/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://[::1/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://user:secret/word@host/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://user:pw@host:port/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://user:pw@host:99999/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://host/bars\nx"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://user:secret@word@host/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://user:secret%word@host/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://user:secret word@host/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://user:secret#word@host/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://user:secret?word@host/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://host:0/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://one,two:5433/bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://host/my bars"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://host/b%00"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://host/b%ff"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://host/bars?dbname=others"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://host/bars?%64bname=others"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://host/bars?user=u&%70assword=secret"),
    ("SWIFTBOLT_DATABASE_URL", "postgresql://host/bars?application_name=%ff"),
    ("SWIFTBOLT_DAGSTER_URL", "sqlite:///dagster.db"),
    ("SWIFTBOLT_FIRST_DATE", "2024-02-30"),
    ("SWIFTBOLT_FIRST_DATE", "02.01.2024"),
    ("SWIFTBOLT_FIRST_DATE", "20240102"),
    ("SWIFTBOLT_FIRST_DATE", "2024-W01-2"),
    ("SWIFTBOLT_FIRST_DATE", "2014-12-31"),
    ("SWIFTBOLT_FIRST_DATE", "9999-12-31"),
    ("SWIFTBOLT_PROFILE", "cellery"),
    ("SWIFTBOLT_BROKER_URL", "amqp://host:5672//"),
    ("SWIFTBOLT_BROKER_URL", "redis://"),
    ("SWIFTBOLT_BROKER_URL", "redis://host:port/0"),
    ("SWIFTBOLT_BROKER_URL", "redis://host:99999/0"),
    ("SWIFTBOLT_BROKER_URL", "redis://host/zero"),
    ("SWIFTBOLT_BROKER_URL", "redis://host/0?db=1"),
    ("SWIFTBOLT_IMAGE", "swiftbolt"),
    ("SWIFTBOLT_IMAGE", "registry/Swift Bolt:1"),
    ("SWIFTBOLT_IMAGE", "registry/swiftbolt:1\nx"),
    ("SWIFTBOLT_NAMESPACE", "Swift_Bolt"),
    ("SWIFTBOLT_NAMESPACE", "-a"),
    ("SWIFTBOLT_HOST", "127.0.0.1:8000"),
    ("SWIFTBOLT_HOST", "two words"),
    ("SWIFTBOLT_HOST", "http://localhost"),
    ("SWIFTBOLT_NOW", "yesterday"),
    ("SWIFTBOLT_NOW", "2025-11-20"),
    ("SWIFTBOLT_NOW", "2025-11-20T17:30:00"),
    ("SWIFTBOLT_NOW", "9999-12-31T23:59:59Z"),
    ("SWIFTBOLT_NOW", "0001-01-01T00:00:00+14:00"),
    ("SWIFTBOLT_NOW", "2014-06-01T12:00:00Z"),
    (CLOCK_OFFSET, "soon"),
    (CLOCK_OFFSET, "nan"),
    (CLOCK_OFFSET, "-inf"),
    (CLOCK_OFFSET, "-1e300"),
    (CLOCK_OFFSET, "-1e11"),
    (CLOCK_OFFSET, "60"),
    ("POLYGON_API_KEY", "secret key"),
    ("MASSIVE_API_KEY", "secret key"),
    ("POLYGON_API_KEY", "secret\u00e9key"),
    ("POLYGON_API_KEY", "secret\nkey"),
    ("TRADIER_TOKEN", "secret\x7fkey"),
    ("POLYGON_BASE_URL", "api.polygon.io"),
    ("POLYGON_BASE_URL", "ftp://api.polygon.io"),
    ("POLYGON_BASE_URL", "https://"),
    ("POLYGON_BASE_URL", "https://host:0"),
    ("POLYGON_BASE_URL", "https://host:x"),
    ("POLYGON_BASE_URL", "https://ho st"),
    ("POLYGON_BASE_URL", "https://host/?"),
    ("POLYGON_BASE_URL", "https://host/#"),
    ("POLYGON_BASE_URL", "https://host/?apiKey=secret"),
    ("POLYGON_BASE_URL", "https://user:secret@host"),
    ("TRADIER_BASE_URL", "https://[::1"),
    ("TRADIER_BASE_URL", "https://h\u00f6st"),
    ("POLYGON_REQUESTS_PER_MINUTE", "five"),
    ("POLYGON_REQUESTS_PER_MINUTE", "-1"),
    ("POLYGON_REQUESTS_PER_MINUTE", "1.5"),
    ("POLYGON_REQUESTS_PER_MINUTE", "\u0665"),
    ("POLYGON_REQUESTS_PER_MINUTE", "100001"),
    ("POLYGON_REQUESTS_PER_MINUTE", "9" * 5000),
    ("TRADIER_REQUESTS_PER_MINUTE", "1e3"),
    ("MAX_CONCURRENT_JOBS", "0"),
    ("MAX_CONCURRENT_JOBS", "many"),
    ("RESAMPLE_H1_FROM_M15", "perhaps"),
    ("RESAMPLE_H4_FROM_M15", "2"),
    ("SWIFTBOLT_SIMULATOR_PLAN", "premium"),
]
SECRETS = ("secret", "pw@", ":pw")


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_is_refused_in_one_line_that_names_the_variable(name: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings({name: text})
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    assert len(message) < 250
    assert not any(secret in message for secret in SECRETS)


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    found = read_settings({})
    assert found.home == CHECKOUT / ".swiftbolt"
    assert (found.database_url, found.dagster_url, found.embedded) == (None, None, True)
    assert found.first_date == date(2024, 1, 2)
    assert found.host == "127.0.0.1"
    assert found.clock.offset == timedelta(0)
    assert (found.history.key, found.providers["tradier"].key, found.simulated) == (
        None,
        None,
        True,
    )
    assert (found.history.url, found.providers["tradier"].url) == (None, None)
    assert (found.history.per_minute, found.providers["tradier"].per_minute) == (5, 60)
    assert found.max_concurrent_jobs == 5
    assert (found.resample_h1, found.resample_h4) == (True, True)
    assert found.simulator_plan == "unlimited"
    assert (found.profile, found.broker_url) == ("local", None)
    assert (found.image, found.namespace) == (None, "swiftbolt")


def test_blank_values_count_as_unset() -> None:
    names = {name for name, _ in BAD}
    assert read_settings(dict.fromkeys(names, "  ")) == read_settings({})


def test_good_values_are_taken() -> None:
    found = read_settings(
        {
            "SWIFTBOLT_HOME": "state of/mine",
            "SWIFTBOLT_DATABASE_URL": "postgres://u:p%2Fw@[::1]:5433/bars?sslmode=require",
            "SWIFTBOLT_DAGSTER_URL": "postgresql+psycopg2://u@host/dagster",
            "SWIFTBOLT_FIRST_DATE": "2015-01-02",
            "SWIFTBOLT_HOST": "::",
            "POLYGON_API_KEY": "  key_1-A\n",
            "POLYGON_BASE_URL": "http://127.0.0.1:9000/polygon/",
            "TRADIER_BASE_URL": "https://sandbox.tradier.com",
            "POLYGON_REQUESTS_PER_MINUTE": "0",
            "TRADIER_REQUESTS_PER_MINUTE": "120",
            "MAX_CONCURRENT_JOBS": "1",
            "RESAMPLE_H1_FROM_M15": "False",
            "RESAMPLE_H4_FROM_M15": "0",
            "SWIFTBOLT_SIMULATOR_PLAN": "free",
        }
    )
    assert found.home == Path.cwd() / "state of" / "mine"
    assert found.database_url == "postgresql://u:p%2Fw@[::1]:5433/bars?sslmode=require"
    assert found.dagster_url == "postgresql://u@host/dagster"
    assert found.first_date == date(2015, 1, 2)
    assert found.host == "::"
    assert found.history.key == "key_1-A"
    assert (found.simulated, found.embedded) == (False, False)
    assert found.history.url == "http://127.0.0.1:9000/polygon"
    assert found.providers["tradier"].url == "https://sandbox.tradier.com"
    assert (found.history.per_minute, found.providers["tradier"].per_minute) == (0, 120)
    assert found.max_concurrent_jobs == 1
    assert (found.resample_h1, found.resample_h4) == (False, False)
    assert found.simulator_plan == "free"


def test_a_database_behind_a_socket_keeps_its_empty_host() -> None:
    url = "postgresql:///bars?host=/run/postgresql"
    assert read_settings({"SWIFTBOLT_DATABASE_URL": url}).database_url == url


def test_the_profile_celery_needs_a_broker() -> None:
    with pytest.raises(ConfigurationError, match="SWIFTBOLT_BROKER_URL: it is unset"):
        read_settings({"SWIFTBOLT_PROFILE": "celery"})
    url = "rediss://user:p%2Fw@redis.internal:6380/2"
    found = read_settings({"SWIFTBOLT_PROFILE": "celery", "SWIFTBOLT_BROKER_URL": url})
    assert (found.profile, found.broker_url) == ("celery", url)


def test_either_key_alone_ends_the_simulation() -> None:
    assert not read_settings({"POLYGON_API_KEY": "k"}).simulated
    assert not read_settings({"TRADIER_TOKEN": "k"}).simulated


@pytest.mark.parametrize("other", [{}, {"POLYGON_API_KEY": ""}, {"POLYGON_API_KEY": " key_1\n"}])
def test_massives_name_of_the_key_is_as_good_as_polygons(other: dict[str, str]) -> None:
    found = read_settings({"MASSIVE_API_KEY": "key_1", **other})
    assert (found.history.key, found.simulated) == ("key_1", False)
    assert read_settings({"MASSIVE_API_KEY": "  "}).simulated


def test_two_names_of_one_key_that_differ_are_refused_in_one_line_that_names_both() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings({"POLYGON_API_KEY": "secret-1", "MASSIVE_API_KEY": "secret-2"})
    assert str(caught.value) == (
        "POLYGON_API_KEY: MASSIVE_API_KEY is another name of it, and the two differ; "
        "unset the wrong one"
    )


def test_the_repr_shows_no_secret() -> None:
    found = read_settings(
        {
            "SWIFTBOLT_DATABASE_URL": "postgresql://u:hidden-1@host/bars",
            "SWIFTBOLT_DAGSTER_URL": "postgresql://u:hidden-2@host/dagster",
            "SWIFTBOLT_BROKER_URL": "rediss://:hidden-5@host:6379/0",
            "POLYGON_API_KEY": "hidden-3",
            "TRADIER_TOKEN": "hidden-4",
        }
    )
    assert "hidden" not in f"{found!r} {found}"


def test_the_market_clock_starts_at_the_given_instant_and_runs_on() -> None:
    found = read_settings({"SWIFTBOLT_NOW": "2026-11-20T17:30:00-05:00"})
    started = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
    assert timedelta(0) <= found.clock.now() - started < timedelta(minutes=1)
    assert found.clock.today() == date(2026, 11, 20)


def test_half_past_eight_in_the_evening_is_still_today_in_new_york() -> None:
    found = read_settings({"SWIFTBOLT_NOW": "2025-06-04T00:30:00Z"})
    assert found.clock.today() == date(2025, 6, 3)


def test_processes_of_one_platform_share_the_offset_whatever_now_says() -> None:
    found = read_settings({CLOCK_OFFSET: "-86400.5", "SWIFTBOLT_NOW": "nonsense"})
    assert found.clock.offset == timedelta(seconds=-86400.5)


def test_a_market_clock_before_the_first_partition_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^SWIFTBOLT_FIRST_DATE: 2024-01-02 is after"):
        read_settings({"SWIFTBOLT_NOW": "2023-06-01T12:00:00Z"})
    earlier = {"SWIFTBOLT_NOW": "2023-06-01T12:00:00Z", "SWIFTBOLT_FIRST_DATE": "2023-01-03"}
    assert read_settings(earlier).clock.today() == date(2023, 6, 1)


_words = st.one_of(
    st.text(max_size=30),
    st.sampled_from([text for _, text in BAD]),
    st.builds("postgresql://{}".format, st.text(max_size=20)),
    st.builds("https://{}".format, st.text(max_size=20)),
    st.builds("~{}".format, st.text(max_size=5)),
    st.datetimes().map(str),
    st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    st.floats().map(str),
    st.integers().map(str),
    st.dates().map(str),
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted({name for name, _ in BAD})), _words, max_size=4))
def test_whatever_stands_in_the_environment_gives_settings_or_one_line(
    environ: dict[str, str],
) -> None:
    found = _read(environ)
    if found is not None:
        assert found.first_date <= found.clock.today()
        assert found.clock.now() <= datetime.now(UTC)


def _read(environ: dict[str, str]) -> Settings | None:
    try:
        return read_settings(environ)
    except ConfigurationError as error:
        assert str(error).partition(":")[0].isupper()  # noqa: PT017 - either outcome is right
        assert len(str(error).splitlines()) == 1  # noqa: PT017
        return None
