/**
 * What the keyboard does anywhere on the page; `?` shows the list.
 *
 * What belongs here: keys that need no focus. What does not: keys inside a list or the search box
 * (search.js, watchlist.js).
 */

import { find } from "./dom.js";
import { TIMEFRAMES } from "./timeframes.js";

/**
 * Listen to the keyboard.
 *
 * @param actions `timeframe(name)`, `search()`, `star()`, `theme()`, `showAll()`, `showNewest()`,
 *   `step(by)`, `zoom(factor)`
 */
export function listen(actions) {
  const help = find("help");
  find("help-open").addEventListener("click", () => help.showModal());
  find("help-close").addEventListener("click", () => help.close());
  const keys = {
    "/": () => actions.search(),
    "?": () => help.showModal(),
    w: () => actions.star(),
    t: () => actions.theme(),
    f: () => actions.showAll(),
    n: () => actions.showNewest(),
    ArrowLeft: () => actions.step(-1),
    ArrowRight: () => actions.step(1),
    "+": () => actions.zoom(0.7),
    "-": () => actions.zoom(1 / 0.7),
  };
  Object.keys(TIMEFRAMES).forEach((name, index) => {
    keys[String(index + 1)] = () => actions.timeframe(name);
  });
  document.addEventListener("keydown", (event) => {
    const isBusy = event.target.closest("input, textarea, select, dialog");
    if (isBusy || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });
}
