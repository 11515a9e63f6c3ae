"""A database's URL names the same database to everybody who reads it, whatever its names hold."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import sqlalchemy
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from swiftbolt_assets.database_url import LONGEST_NAME, DatabaseUrl, passwords
from swiftbolt_assets.errors import ConfigurationError
from swiftbolt_assets.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

#: All that a server takes in a name; a URL encodes it.
_names = st.text(
    st.one_of(
        st.sampled_from(" %+/:@?#&='\"\\[]*~\N{PILE OF POO}"),
        st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)),
    ),
    min_size=1,
    max_size=12,
)
_hosts = st.one_of(
    st.sampled_from(["", "localhost", "DB.internal", "::1", "fe80::1%eth0", "10.0.0.1"]),
    _names.filter(lambda name: "," not in name).map("/{}".format),
)
_urls = st.builds(
    DatabaseUrl,
    user=_names,
    password=st.none() | _names,
    host=_hosts,
    port=st.none() | st.integers(1, 65_535),
    database=_names,
    options=st.dictionaries(st.sampled_from(["application_name", "options"]), _names).map(
        lambda found: "&".join(f"{name}={quote(value, safe='+')}" for name, value in found.items())
    ),
)


def by_libpq(text: str) -> dict[str, str]:
    return _given(conninfo_to_dict(text))


def by_dagster(text: str) -> dict[str, str]:
    """Return what SQLAlchemy gives the driver of Dagster's storage."""
    url = sqlalchemy.make_url(text)
    _, given_to_driver = url.get_dialect()().create_connect_args(url)
    return _given(given_to_driver)


def _given(found: Mapping[str, object]) -> dict[str, str]:
    # The ports of several hosts that name none are a comma each.
    texts = {name: str(value) for name, value in found.items() if (name, value) != ("port", ",")}
    return {name: text for name, text in texts.items() if text}


def parts(url: DatabaseUrl) -> dict[str, str | None]:
    return {
        "user": url.user,
        "password": url.password,
        "host": url.host or None,
        "port": None if url.port is None else str(url.port),
        "dbname": url.database,
    }


@settings(max_examples=400, deadline=None)
@given(_urls, st.sampled_from(["_dagster", "_incoming", "%20", "/"]))
def test_libpq_sqlalchemy_and_we_read_the_same_from_one_url(url: DatabaseUrl, suffix: str) -> None:
    for one in (url, url.beside(suffix), url.named("postgres")):
        read = by_libpq(str(one))
        assert read == by_dagster(one.for_dagster)
        assert {name: read.get(name) for name in parts(one)} == parts(one)
        again = DatabaseUrl.parse(str(one))
        assert parts(again) | {"host": None} == parts(one) | {"host": None}
        assert (str(again), again.for_dagster) == (str(one), one.for_dagster)


@settings(max_examples=200, deadline=None)
@given(_urls)
def test_what_the_environment_names_is_taken_as_libpq_takes_it(url: DatabaseUrl) -> None:
    found = read_settings({"SWIFTBOLT_DATABASE_URL": str(url)}).database_url
    assert found is not None
    assert by_libpq(found) == by_libpq(str(url))


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("postgresql:///bars?host=/run/postgresql", ""),
        ("postgresql://u@/bars?host=%2Frun%2Fmy%20pg&port=5433", ""),
        ("postgresql://u@%2Frun%2Fpostgresql:5433/bars", "/run/postgresql"),
        ("postgresql://u@%2Frun%2Fa+b/bars?options=-cgeqo%3Doff+", "/run/a+b"),
        ("postgres://u:p%2Fw@[::1]:5433/b%C3%A4rs?sslmode=require", "::1"),
        ("postgresql://u@one,two/bars", "one,two"),
        ("postgresql://u@host:/bars", "host"),
        ("postgresql://host/b#rs", "host"),
    ],
)
def test_a_url_in_any_of_libpqs_forms_is_read_as_libpq_reads_it(text: str, host: str) -> None:
    url = DatabaseUrl.parse(text)
    assert url.host == host
    assert by_libpq(str(url)) == by_libpq(text) == by_dagster(url.for_dagster)


def test_a_name_that_the_server_would_cut_off_is_refused() -> None:
    url = DatabaseUrl.parse(f"postgresql://host/{'b' * (LONGEST_NAME - 8)}")
    assert len(url.beside("_dagster").database) == LONGEST_NAME
    with pytest.raises(ConfigurationError, match=r"^database b+: b+_incoming is needed beside it"):
        url.beside("_incoming")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hidden@host:5432/bars", "postgresql://u:***@host:5432/bars"),
        ("postgresql://u:@host/bars", "postgresql://u:***@host/bars"),
        ("postgresql://u@host/bars", "postgresql://u@host/bars"),
        (
            "postgresql:///bars?host=/tmp&password=hidden&user=u",
            "postgresql:///bars?host=/tmp&password=***&user=u",
        ),
        ("postgresql://h/b?sslpassword=hidden", "postgresql://h/b?sslpassword=***"),
    ],
)
def test_a_shown_url_has_no_password(url: str, shown: str) -> None:
    assert DatabaseUrl.parse(url).shown == shown


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:hid%2Fden@host/bars",
        "postgresql://u:hid/den@host/bars?options=a@b",
        "postgresql://u@[host/bars?password=hid%2fden",
        "postgresql:///bars?sslpassword=hid/den&host=/tmp",
    ],
)
def test_every_spelling_of_a_password_is_known_even_in_a_bad_url(text: str) -> None:
    assert {"hid/den", "hid%2Fden"} <= set(passwords(text))
