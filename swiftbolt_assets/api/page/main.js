/**
 * The page put together: which part hears of what.
 *
 * What belongs here: wiring, and which sentence stands where no bars are. What does not: anything
 * that a part can do alone. Where next: feed.js (what is asked), chart.js (what is drawn).
 */

import { readAddress, writeAddress } from "./address.js";
import { Chart } from "./chart.js";
import { find, make } from "./dom.js";
import { api } from "./early.js";
import { Feed } from "./feed.js";
import * as keys from "./keys.js";
import { Legend } from "./legend.js";
import { longDate } from "./newyork.js";
import { Link, Notice } from "./notice.js";
import { change, count, price } from "./numbers.js";
import { Progress } from "./progress.js";
import { Search } from "./search.js";
import { sentence } from "./sentences.js";
import { Strip } from "./strip.js";
import { followTheme, palette } from "./theme.js";
import { TIMEFRAMES } from "./timeframes.js";
import { Watchlist } from "./watchlist.js";

const legend = new Legend();
const progress = new Progress();
const notice = new Notice(() => feed.retry());
const link = new Link(() => feed.retry());
const strip = new Strip((date) => chart.showDay(date));
const chart = new Chart(find("chart"), {
  look: (look) => legend.show(look),
  move: (view) => strip.look(view),
});
const watchlist = new Watchlist(api, { open: (symbol) => open({ symbol }), changed: showStar });
const search = new Search(api, (symbol) => {
  // That somebody searched is worth a record, but nothing waits for it.
  api.syncSymbols([symbol], "recent_search").catch((error) => failed(error));
  open({ symbol });
});

let shown = null;
let feed = null;
let failure = null;

/** Show another symbol or timeframe, or both. */
function open(choice) {
  const next = { ...shown, ...choice };
  if (shown && next.symbol === shown.symbol && next.timeframe === shown.timeframe) return;
  shown = next;
  failure = null;
  writeAddress(shown);
  feed?.stop();
  document.title = `${shown.symbol} · SwiftBolt`;
  find("symbol").textContent = shown.symbol;
  find("name").textContent = "";
  showDelisted(null);
  find("price").replaceChildren();
  for (const button of find("timeframes").children) {
    button.setAttribute("aria-pressed", String(button.dataset.timeframe === shown.timeframe));
  }
  watchlist.mark(shown.symbol);
  showStar();
  progress.clear();
  legend.clear(shown.timeframe);
  chart.clear(shown.timeframe);
  describe([]);
  const started = new Feed(api, shown, {
    changed: (bars, coverage) => feed === started && changed(bars, coverage),
    progress: (answer) => feed === started && (progress.show(answer), explainEmptiness()),
    link: (state, pauseMs) => feed === started && linked(state, pauseMs),
    failed: (error) => feed === started && failed(error),
  });
  feed = started;
  explainEmptiness();
  feed.start();
}

function changed(bars, coverage) {
  if (feed.hasRead) failure = null;
  chart.show(bars.list, coverage);
  strip.show(coverage, bars.list.length > 0);
  if (coverage.isKnown) {
    find("simulated").hidden = !coverage.isSimulated;
    find("name").textContent = coverage.name;
    showDelisted(coverage.delisted);
  }
  legend.show(chart.current());
  showPrice(bars.list);
  if (bars.last && watchlist.lacksPrice(shown.symbol)) watchlist.refreshQuotes();
  find("layers").dataset.today = String(bars.last?.layer === "today" || bars.last?.layer === "forming");
  describe(bars.list);
  explainEmptiness();
}

/** Say that a symbol trades no more, and why that is thought. */
function showDelisted(delisted) {
  const badge = find("delisted");
  badge.hidden = delisted === null;
  badge.title = delisted
    ? `${sentence(delisted.evidence)} Asked ${delisted.asked_on}, again about ${delisted.ask_on}.`
    : "";
}

/** Tell who cannot see the canvas what is on it. */
function describe(bars) {
  const element = find("chart");
  element.dataset.bars = String(bars.length);
  const span = bars.length
    ? `from ${longDate(bars[0].time)} to ${longDate(bars.at(-1).time)}, last ${price(bars.at(-1).close)}`
    : "none yet";
  element.setAttribute(
    "aria-label",
    `${shown.symbol}, bars of ${TIMEFRAMES[shown.timeframe].name}: ${count(bars.length)} ${span}. `
      + "Arrow keys go from bar to bar.",
  );
}

function linked(state, pauseMs) {
  link.show(state, pauseMs);
  if (state === "live" && watchlist.hasFailed) watchlist.load();
}

function failed(error) {
  failure = error;
  explainEmptiness();
}

/** Say why there is no bar to be seen, where there is none. */
function explainEmptiness() {
  notice.show(feed.bars.list.length ? null : emptiness());
}

function emptiness() {
  const { symbol } = shown;
  if (failure) {
    return {
      title: `${symbol} could not be loaded.`,
      text: `${sentence(failure.message)} The page tries again by itself.`,
      canRetry: true,
    };
  }
  if (!feed.hasRead || !feed.answer) {
    return { title: `Reading ${symbol} …`, text: "The newest bars come first.", isBusy: true };
  }
  if (feed.coverage.delisted) {
    return { title: `${symbol} trades no more.`, text: sentence(feed.coverage.delisted.evidence) };
  }
  if (feed.answer.status === "coverage_complete") {
    return {
      title: `There are no bars of ${symbol}.`,
      text: "The providers answered, and have none. Check the spelling, or press / and search.",
    };
  }
  return {
    title: `Loading ${symbol}, the newest bars first.`,
    text: feed.answer.message ? sentence(feed.answer.message) : "They appear here as soon as they arrive.",
    isBusy: true,
  };
}

/** The last price, and its change since the session before. */
function showPrice(bars) {
  const last = bars.at(-1);
  if (!last) return;
  const before = chart.closeBefore(last);
  const parts = [make("span", { className: "last", textContent: price(last.close) })];
  if (before) {
    parts.push(
      make("span", {
        className: last.close >= before.close ? "up" : "down",
        textContent: change(last.close, before.close),
      }),
    );
  }
  find("price").replaceChildren(...parts);
}

function showStar() {
  const star = find("star");
  const isKept = shown !== null && watchlist.has(shown.symbol);
  star.setAttribute("aria-pressed", String(isKept));
  star.title = isKept ? "Remove from the watchlist (w)" : "Add to the watchlist (w)";
}

function toggleStar() {
  if (watchlist.has(shown.symbol)) watchlist.remove(shown.symbol);
  else watchlist.add(shown.symbol);
}

for (const [name, { label, name: words }] of Object.entries(TIMEFRAMES)) {
  const button = make("button", { type: "button", textContent: label, title: words });
  button.dataset.timeframe = name;
  button.addEventListener("click", () => open({ timeframe: name }));
  find("timeframes").append(button);
}
find("star").addEventListener("click", toggleStar);
find("show-all").addEventListener("click", () => chart.showAll());
find("show-newest").addEventListener("click", () => chart.showNewest());
keys.listen({
  timeframe: (timeframe) => open({ timeframe }),
  search: () => search.focus(),
  star: toggleStar,
  theme: () => find("theme").click(),
  showAll: () => chart.showAll(),
  showNewest: () => chart.showNewest(),
  step: (by) => legend.show(chart.step(by)),
  zoom: (factor) => chart.zoom(factor),
});
followTheme(() => {
  const colors = palette();
  chart.paint(colors);
  strip.paint(colors.strip);
});
addEventListener("popstate", () => open(readAddress()));
addEventListener("hashchange", () => open(readAddress()));
addEventListener("online", () => feed.retry());
open(readAddress());
watchlist.load();
