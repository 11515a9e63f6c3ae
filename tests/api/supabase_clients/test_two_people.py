"""Two people in two browsers: each keeps a watchlist, and none reaches the other's."""

# ruff: noqa: ANN401 - the browser's types are a library's, answers are JSON

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

ISSUER = "https://tenant.example/"
#: An identity provider's own names are people, too.
SUBJECTS = (str(uuid4()), "auth0|64f1c0")
INVOKE = """async ([url, key, token, calls]) => {
  const client = supabase.createClient(url, key, { accessToken: async () => token });
  const answers = [];
  for (const [name, options] of calls) {
    const { data, error } = await client.functions.invoke(name, options);
    answers.push(error ? await error.context.json() : data);
  }
  return answers;
}"""


@dataclass
class Person:
    """Somebody with a browser of their own.

    Attributes:
        page: the chart.
        script: a page of another origin with supabase-js.
        key: their token.

    """

    page: Any
    script: Any
    key: str
    url: str
    app_key: str

    def enter(self, key: str) -> None:
        """Give the chart a key where it asks for one."""
        self.page.locator("#key-dialog").wait_for()
        self.page.fill("#key-field", key)
        self.page.keyboard.press("Enter")

    def shown(self) -> list[str]:
        """Return the watchlist that the chart shows."""
        rows = self.page.query_selector_all("#watchlist li")
        return [str(row.get_attribute("data-symbol")) for row in rows]

    def star(self, symbol: str) -> None:
        """Open a symbol and press its star."""
        self.page.goto(f"{self.url}/chart#{symbol}/h1")
        self.page.locator("#symbol", has_text=symbol).wait_for()
        self.page.click("#star")

    def waits_for(self, symbols: list[str]) -> None:
        """Wait until the chart's watchlist is this one."""
        deadline = time.monotonic() + 30
        while self.shown() != symbols:
            assert time.monotonic() < deadline, (self.shown(), symbols)
            self.page.wait_for_timeout(50)

    def call(self, *calls: Any, key: str | None = None) -> list[Any]:
        """Call functions by supabase-js with this person's token, or with another key."""
        asked = [self.url, self.app_key, key or self.key, list(calls)]
        answers = self.script.evaluate(INVOKE, asked)
        assert isinstance(answers, list)
        return answers

    def listed(self) -> list[str]:
        """Return the watchlist that supabase-js gets."""
        (answer,) = self.call(["watchlist-sync", {"body": {"action": "list"}}])
        return [item["symbol"] for item in answer["items"]]


@pytest.fixture
def two(
    serve: Callable[..., Any],
    in_front: Callable[[str], str],
    browser: Any,
    elsewhere: str,
    token: Callable[..., str],
) -> Iterator[tuple[Any, Person, Person]]:
    """Return an API behind a proxy, and two people who have opened the chart."""
    with serve(SWIFTBOLT_CORS_ORIGINS=elsewhere, SWIFTBOLT_JWT_ISSUER=ISSUER) as api:
        api.clear()
        url = in_front(api.url)
        contexts, people = [], []
        for subject in SUBJECTS:
            context = browser.new_context()
            contexts.append(context)
            page, script = context.new_page(), context.new_page()
            page.goto(f"{url}/chart")
            script.goto(elsewhere)
            people.append(Person(page, script, token(subject, iss=ISSUER), url, api.keys.anon))
        yield api, people[0], people[1]
        for context in contexts:
            context.close()


def test_two_people_keep_two_watchlists_on_the_page_and_through_supabase_js(
    two: tuple[Any, Person, Person],
) -> None:
    _, ann, bob = two
    for person, symbol in ((ann, "AAPL"), (bob, "MSFT")):
        person.enter(person.key)
        person.star(symbol)
        person.waits_for([symbol])
    assert ann.listed() == ["AAPL"]
    assert bob.listed() == ["MSFT"]
    ann.call(["watchlist-sync", {"body": {"action": "add", "symbol": "NVDA"}}])
    for person, symbols in ((ann, ["AAPL", "NVDA"]), (bob, ["MSFT"])):
        person.page.reload()
        person.waits_for(symbols)
        assert person.listed() == symbols
    bob.page.click("#watchlist li .remove")
    bob.waits_for([])
    ann.page.reload()
    ann.waits_for(["AAPL", "NVDA"])


def test_nobody_reads_or_changes_the_others_by_any_route(two: tuple[Any, Person, Person]) -> None:
    api, ann, bob = two
    add = ["watchlist-sync", {"body": {"action": "add", "symbol": "TSLA"}}]
    (added,) = bob.call(add)
    theirs = added["watchlistId"]
    (person,) = api.sql("select user_id from watchlists where id = %s", theirs)
    tracked = "select * from user_symbol_tracking where user_id = %s order by id"
    before = api.sql("select * from watchlist_items"), api.sql(tracked, person[0])
    (listed,) = ann.call(["watchlist-sync", {"body": {"action": "list"}}])
    assert (listed["items"], listed["watchlistId"] == theirs) == ([], False)
    for action in ("list", "add", "remove"):
        body = {"action": action, "symbol": "TSLA", "watchlistId": theirs}
        told = ann.call(["watchlist-sync", {"body": body}], ["watchlist-sync", {"body": body}])
        for answer in told:
            assert answer["error"].startswith("watchlistId: no watchlist")
    # What is public says of bars and work, never of who wants them.
    public = ann.call(
        ["coverage", {"body": {"symbol": "TSLA", "user_id": theirs}}],
        ["symbols-search", {"body": {"q": "TSLA"}}],
        ["quotes", {"body": {"symbols": "TSLA"}}],
        ["ensure-coverage", {"body": {"symbol": "TSLA", "timeframe": "h1"}}],
        ["chart-data-v2", {"body": {"symbol": "TSLA", "timeframe": "h1"}}],
        ["orchestrator", {"body": {"action": "status"}}],
        ["fetch-bars", {"body": {"symbol": "TSLA"}}],
    )
    assert not any(str(known) in str(public) for known in (theirs, person[0]))
    assert all("service key" in answer["error"] for answer in public[-2:])
    after = api.sql("select * from watchlist_items"), api.sql(tracked, person[0])
    assert after == before
    assert bob.listed() == ["TSLA"]


def test_a_token_that_is_not_taken_opens_nothing_and_the_page_says_why(
    two: tuple[Any, Person, Person], token: Callable[..., str]
) -> None:
    _, ann, _ = two
    user = uuid4()
    wrong = {
        "signature": token(user, "another-secret-that-is-long-enough-for-sha256", iss=ISSUER),
        "expired": token(user, exp=1, iss=ISSUER),
        "issuer": token(user, iss="https://other.example/"),
        "audience": token(user, aud="somebody-else", iss=ISSUER),
        "role": token(user, role="service_role", iss=ISSUER),
    }
    for why, key in wrong.items():
        ann.enter(key)
        ann.page.locator("#key-refused", has_text=why).wait_for()
        assert ann.shown() == []
        (answer,) = ann.call(["watchlist-sync", {"body": {"action": "list"}}], key=key)
        assert why in answer["error"]
    ann.enter(ann.key)
    ann.star("AAPL")
    ann.waits_for(["AAPL"])


def test_a_person_whose_token_ends_does_not_become_the_apps_user(
    serve: Callable[..., Any], browser: Any, token: Callable[..., str]
) -> None:
    """At this machine the page carries the app's key; a sign-in page handed over a token."""
    with serve() as api:
        api.clear()
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{api.url}/docs")
        page.evaluate("key => sessionStorage.setItem('swiftbolt-key', key)", token(uuid4(), exp=1))
        page.goto(f"{api.url}/chart#AAPL/h1")
        page.locator("#key-refused", has_text="It has expired").wait_for()
        assert api.sql("select * from watchlists") == []
        assert api.sql("select * from user_symbol_tracking") == []
        context.close()
