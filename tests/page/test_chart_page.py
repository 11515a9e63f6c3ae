"""The chart page as a person meets it, in a real browser, on a real platform.

The tests share one platform and run in their order; the first loads two years that the others use.
HALT is a symbol that nobody tracks at first; trading in it was halted on 2026-03-11 from 10:30 to
12:15, and on 2026-09-16 all day.
"""
# ruff: noqa: ANN401 - the fixtures' types live in conftest.py, which tests cannot import

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from swiftbolt_assets.market.prices import price_text

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

TIMEFRAMES = ("m15", "h1", "h4", "d1", "w1")
#: Days and weeks are made at read.
STORED = TIMEFRAMES[:3]
FIRST_DAY, LAST_DAY = date(2024, 11, 20), date(2026, 11, 20)
#: Remembers each percent that the progress bar shows, and each number of bars of the chart.
WATCH = """() => {
  window.seen = { percents: [], bars: [] };
  const note = () => {
    const bar = document.getElementById("progress-bar");
    const percent = Number(bar.getAttribute("aria-valuenow"));
    if (window.seen.percents.at(-1) !== percent) window.seen.percents.push(percent);
    const bars = Number(document.getElementById("chart").dataset.bars);
    if (window.seen.bars.at(-1) !== bars) window.seen.bars.push(bars);
  };
  new MutationObserver(note).observe(document.body, { subtree: true, attributes: true });
}"""


#: A symbol whose bars nobody fills, tracked by a program.
PENNIES = """
insert into symbols (ticker) values ('PENNY') on conflict do nothing;
insert into job_definitions (job_type, symbol, timeframe, enabled, pinned)
select 'fetch_intraday', 'PENNY', t, false, true from unnest('{m15,h1,h4}'::timeframe[]) t
on conflict (symbol, timeframe, job_type) do update set enabled = false, pinned = true;
insert into ohlc_bars_v2 (symbol_id, timeframe, ts, provider, is_intraday, open, high, low, close,
  volume, data_status)
select id, 'm15', '2026-11-19 15:30+00', 'polygon', false, 0.000416, 0.000425, 0.000415, 0.000424,
  1000, 'verified' from symbols where ticker = 'PENNY';
insert into user_symbol_tracking (user_id, symbol_id, source)
select '00000000-0000-0000-0000-000000000000', id, 'watchlist' from symbols where ticker = 'PENNY';
"""


@pytest.fixture(scope="module")
def desk(new_look: Callable[..., Any]) -> Any:
    """Return the page that most tests look at."""
    return new_look(color_scheme="dark")


@pytest.fixture(scope="module")
def unknown(new_look: Callable[..., Any]) -> Any:
    """Return a page on a symbol that no provider knows, which takes several answers to find out."""
    look = new_look()
    look.open("#ZZTOP/h1")
    return look


def go_to_day(look: Any, day: date) -> None:
    """Click the strip where a day lies; it is in the chart's middle then."""
    box = look.page.locator("#strip").bounding_box()
    share = ((day - FIRST_DAY).days + 0.5) / ((LAST_DAY - FIRST_DAY).days + 1)
    look.page.mouse.click(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)


def test_an_untracked_symbol_shows_bars_at_once_and_grows_to_two_years(
    desk: Any, platform: Any
) -> None:
    """A3, A38, A54: more bars with every answer, percent and slices told, never backwards."""
    assert platform.stored("HALT", "h1") == 0
    desk.open("#HALT/h1")
    desk.page.evaluate(WATCH)
    desk.wait(desk.bars, "first bars")
    desk.wait(lambda: "slices" in desk.text("#progress"), "progress is told", 20)
    desk.wait(lambda: "complete" in (desk.page.get_attribute("#progress", "class") or ""), "done")
    desk.wait(lambda: desk.bars() == platform.stored("HALT", "h1"), "every stored bar is shown", 10)
    seen = desk.page.evaluate("window.seen")
    assert seen["percents"] == sorted(seen["percents"])
    assert seen["percents"][-1] == 100
    assert len(seen["bars"]) > 3, seen
    desk.wait(lambda: desk.page.is_hidden("#progress"), "the bar goes when all is there", 10)
    box = desk.page.locator("#chart").bounding_box()
    desk.page.mouse.move(box["x"] + box["width"] * 0.85, box["y"] + box["height"] / 2)
    desk.wait(lambda: "Nov 2026" in desk.text("#legend-when"), "it still shows the newest", 10)
    assert desk.page.is_visible("#simulated")
    assert platform.sql("select source::text from user_symbol_tracking") == "chart_view"


@pytest.mark.usefixtures("unknown")
def test_the_number_keys_switch_the_timeframe(desk: Any, platform: Any) -> None:
    counts = []
    for key, timeframe in enumerate(TIMEFRAMES, 1):
        desk.page.keyboard.press(str(key))
        desk.wait(lambda name=timeframe: desk.page.url.endswith(f"#HALT/{name}"), "the address")
        pressed = f'#timeframes [data-timeframe="{timeframe}"][aria-pressed="true"]'
        assert desk.page.locator(pressed).count() == 1
        desk.wait(desk.bars, f"bars of {timeframe}")
        if timeframe in STORED:
            # Today's bars may be stored at this moment; the page hears of it.
            desk.wait(lambda name=timeframe: desk.bars() == platform.stored("HALT", name), "all")
        counts.append(desk.bars())
    assert counts == sorted(counts, reverse=True)


def test_a_reload_shows_what_is_stored_and_asks_no_provider(desk: Any, platform: Any) -> None:
    """A40: later loads are instant."""
    desk.open("#HALT/h1")
    desk.wait(desk.bars, "bars")
    asked = "select count(*) from job_runs where symbol = 'HALT'"
    before = platform.sql(asked)
    desk.page.reload()
    desk.wait(lambda: desk.bars() == platform.stored("HALT", "h1"), "all bars", 10)
    desk.wait(lambda: desk.text("#link") == "live", "the stream runs", 10)
    assert desk.page.is_hidden("#progress")
    assert platform.sql(asked) == before


def test_an_absent_quarter_hour_is_explained_where_one_points(desk: Any) -> None:
    desk.open("#HALT/m15")
    desk.wait(desk.bars, "bars")
    go_to_day(desk, date(2026, 3, 11))
    box = desk.page.locator("#chart").bounding_box()
    told = set()
    for x in range(int(box["width"] / 2 - 150), int(box["width"] / 2 + 350), 9):
        desk.page.mouse.move(box["x"] + x, box["y"] + box["height"] / 2)
        desk.page.wait_for_timeout(20)
        told.add(desk.text("#legend-why"))
    assert [
        line for line in told if re.match(r"2026-03-11: no trade 10:30.12:15( \(halted\))?$", line)
    ]
    go_to_day(desk, date(2026, 9, 16))
    desk.page.mouse.move(box["x"] + box["width"] / 2 + 10, box["y"] + box["height"] / 2)
    desk.wait(lambda: desk.text("#legend-why").startswith("2026-09-16: "), "the day is explained")


def test_bars_of_today_and_the_forming_one_say_so(desk: Any) -> None:
    desk.page.mouse.move(0, 0)
    desk.open("#HALT/m15")
    # When a quarter hour ends, its next one is there within a minute.
    desk.wait(lambda: "still forming" in desk.text("#legend-bar"), "the newest bar", 120)
    quarter = r"Fri 20 Nov 2026, 1[45]:(00|15|30|45)"
    assert re.match(quarter, desk.text("#legend-when")), desk.text("#legend-when")
    desk.page.keyboard.press("ArrowLeft")
    desk.page.keyboard.press("ArrowLeft")
    desk.wait(lambda: "today" in desk.text("#legend-bar"), "one bar back")


def test_a_symbol_is_searched_opened_and_kept_by_keyboard_alone(desk: Any, platform: Any) -> None:
    desk.page.keyboard.press("/")
    desk.page.keyboard.type("newc")
    desk.page.locator("#search-results li.new").wait_for()
    assert "NEWC" in desk.text("#search-results")
    desk.page.keyboard.type("o")
    desk.page.locator("#search-results li", has_text="NEWCO").wait_for()
    desk.page.keyboard.press("ArrowDown")
    desk.page.keyboard.press("Enter")
    desk.wait(lambda: desk.text("#symbol") == "NEWCO", "it opens")
    desk.wait(desk.bars, "its bars")
    desk.page.keyboard.press("w")
    desk.page.locator('#watchlist [data-symbol="NEWCO"]').wait_for()
    sources = (
        "select string_agg(source::text, ' ' order by source::text) from user_symbol_tracking t"
        " join symbols s on s.id = t.symbol_id where ticker = 'NEWCO'"
    )
    desk.wait(lambda: platform.sql(sources) == "chart_view recent_search watchlist", "all recorded")
    priced = desk.page.locator('#watchlist [data-symbol="NEWCO"] .last', has_text=re.compile(r"\d"))
    priced.wait_for()
    desk.page.locator('#watchlist [data-symbol="NEWCO"] .open').focus()
    desk.page.keyboard.press("Delete")
    desk.page.locator('#watchlist [data-symbol="NEWCO"]').wait_for(state="detached")
    desk.page.keyboard.press("?")
    assert desk.page.is_visible("#help")
    desk.page.keyboard.press("Escape")
    assert desk.page.is_hidden("#help")


def test_a_company_is_found_by_its_name_and_named_beside_its_ticker(
    new_look: Callable[..., Any], platform: Any
) -> None:
    names = "('MIDL', 'Middling Liquidity Corp'), ('BCPC', 'Balchem Corp'), ('BCpC', 'Brunswick')"
    known = "select count(*) from symbols where ticker = 'MIDDL'"
    assert platform.sql(
        f"insert into listed_tickers values {names} on conflict (ticker) do update"
        " set name = excluded.name returning 1"
    )
    look = new_look()
    look.open("#BRK/B/h1")
    look.wait(lambda: look.text("#symbol") == "BRK.B", "the address's symbol")
    # Enter opens no ticker that is spelled like the beginning of a name: the person chooses.
    look.page.fill("#search", "middl")
    look.page.keyboard.press("Enter")
    chosen = look.page.locator('#search-results li[aria-selected="true"]')
    chosen.wait_for()
    assert "Middling Liquidity Corp" in chosen.inner_text()
    assert look.text("#symbol") == "BRK.B"
    look.page.keyboard.press("Enter")
    look.wait(lambda: look.text("#symbol") == "MIDL", "it opens")
    look.wait(lambda: look.text("#name") == "Middling Liquidity Corp", "its name")
    assert platform.sql(known) == 0
    look.page.fill("#search", "BCpC")
    look.page.keyboard.press("Enter")
    look.wait(lambda: look.text("#symbol") == "BCpC", "the spelling that was typed")
    assert look.page.evaluate("location.hash") == "#BCpC/h1"
    look.page.close()


def test_nonsense_is_told_before_it_is_sent(desk: Any) -> None:
    desk.page.fill("#search", "<b>no</b>")
    desk.page.keyboard.press("Enter")
    desk.wait(lambda: "no ticker" in desk.text("#search-note"), "the sentence")
    desk.page.keyboard.press("Escape")
    desk.open("#100%/h9")
    desk.wait(lambda: desk.text("#symbol") == "AAPL", "a percent sign that means nothing")
    desk.open("#NVDA/h1")
    desk.open("#<img src=x>/h9")
    desk.wait(lambda: desk.text("#symbol") == "AAPL", "an address that means nothing")


def test_the_theme_is_kept(desk: Any) -> None:
    theme = "document.documentElement.dataset.theme"
    assert desk.page.evaluate(theme) == "dark"
    desk.page.keyboard.press("t")
    desk.page.reload()
    assert desk.page.evaluate(theme) == "light"


def test_a_telephone_scrolls_down_and_never_sideways(new_look: Callable[..., Any]) -> None:
    phone = new_look(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    phone.open("#HALT/h1")
    phone.wait(phone.bars, "bars")
    wide = phone.page.evaluate("document.documentElement.scrollWidth")
    assert wide == 360
    assert phone.page.locator("#timeframes").bounding_box()["width"] <= 360
    assert phone.complaints == []


def test_prices_read_as_the_command_line_tells_them(desk: Any) -> None:
    prices = [745_000.0, 1_234.5, 1.0, 0.5, 0.01, 0.0099, 0.000416, 0.000425, 2e-9, 0.0]
    shown = desk.page.evaluate(
        "async (prices) => {"
        " const { price } = await import('/chart/assets/numbers.js');"
        " return prices.map((one) => price(one)); }",
        prices,
    )
    assert shown == [price_text(price) for price in prices]


def test_bars_below_a_cent_are_told_apart_and_what_a_program_tracked_is_on_the_watchlist(
    new_look: Callable[..., Any], platform: Any
) -> None:
    platform.write(PENNIES)
    look = new_look()
    look.open("#PENNY/m15")
    look.wait(lambda: look.bars() == 1, "its bar")
    assert "O0.0004160H0.0004250L0.0004150C0.0004240" in look.text("#legend").replace(" ", "")
    assert "0.0004240" in look.text("#price")
    look.wait(lambda: "PENNY" in look.text("#watchlist"), "it is on the watchlist")


def test_the_axis_shows_the_wall_clock_of_new_york(desk: Any) -> None:
    """In summer and winter, the days around both changes included."""
    asked = [
        datetime(2025, month, day, hour, 30, tzinfo=UTC)
        for month, day in ((1, 15), (3, 7), (3, 10), (7, 1), (10, 31), (11, 3))
        for hour in (13, 14, 20)
    ]
    shown = desk.page.evaluate(
        """async (instants) => {
          const { chartTime } = await import("/chart/assets/newyork.js");
          return instants.map((instant) => chartTime(instant, "m15"));
        }""",
        [instant.isoformat().replace("+00:00", "Z") for instant in asked],
    )
    local = [instant.astimezone(ZoneInfo("America/New_York")) for instant in asked]
    assert shown == [wall.replace(tzinfo=UTC).timestamp() for wall in local]


def test_the_description_of_the_api_is_drawn_from_this_server(desk: Any, platform: Any) -> None:
    desk.page.goto(f"{platform.url}/docs")
    desk.page.get_by_text("/functions/v1/ensure-coverage").first.wait_for()


def test_a_symbol_that_does_not_exist_is_told(unknown: Any) -> None:
    unknown.wait(lambda: "There are no bars of ZZTOP" in unknown.text("#notice"), "the sentence")
    assert unknown.complaints == []


def test_nothing_complained_and_nothing_left_for_another_origin(desk: Any, platform: Any) -> None:
    """What violates the content security policy is an error on the console."""
    assert desk.complaints == []
    assert desk.origins == {platform.url}


def test_without_the_servers_key_the_page_asks_for_one(
    new_look: Callable[..., Any], platform: Any
) -> None:
    look = new_look()
    key = re.search(
        r'key" content="([^"]+)"', look.page.request.get(f"{platform.url}/chart").text()
    )
    assert key

    def without_key(route: Any) -> None:
        reply = route.fetch()
        route.fulfill(response=reply, body=reply.text().replace(key[1], ""))

    look.page.route("**/chart", without_key)
    look.open("#HALT/h1")
    look.page.locator("#key-dialog").wait_for()
    look.page.fill("#key-field", "wrong")
    look.page.keyboard.press("Enter")
    look.page.locator("#key-refused").wait_for()
    look.page.fill("#key-field", key[1])
    look.page.keyboard.press("Enter")
    look.wait(look.bars, "bars")
    look.page.reload()
    look.wait(look.bars, "bars: the tab keeps the key")
    assert look.page.is_hidden("#key-dialog")


def test_a_server_that_stops_is_told_and_found_again(
    new_look: Callable[..., Any], server: Any
) -> None:
    look = new_look(server.url)
    look.open("#HALT/h1")
    look.wait(lambda: look.text("#link") == "live", "the stream runs")
    look.wait(look.bars, "bars")
    shown = look.bars()
    server.stop()
    look.page.locator("#offline").wait_for()
    assert "swiftbolt up" in look.text("#offline")
    assert look.bars() == shown
    server.start()
    # It tries by itself; "Try now" is for the impatient.
    look.wait(lambda: look.text("#link") == "live", "the stream runs again")
    assert look.page.is_hidden("#offline")
