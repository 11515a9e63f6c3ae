/**
 * What the crosshair points at, in words: the bar, where it comes from, and what is missing there.
 *
 * What belongs here: the lines in the chart's corner. What does not: the reasons' words
 * (coverage.js), the crosshair (chart.js).
 */

import { FORMING, TODAY } from "./bars.js";
import { explain } from "./coverage.js";
import { find, make } from "./dom.js";
import { clock, longDate, midnight, monday } from "./newyork.js";
import { change, price, volume } from "./numbers.js";
import { isIntraday } from "./timeframes.js";
import { endOf } from "./timeline.js";

const PROVIDERS = { polygon: "Polygon", tradier: "Tradier" };

export class Legend {
  #timeframe = "h1";

  clear(timeframe) {
    this.#timeframe = timeframe;
    this.show(null);
  }

  /** @param look what the chart's `look` returned; null for nothing */
  show(look) {
    const { point, previous, edge } = look ?? {};
    find("legend-when").textContent = point ? this.#when(point) : "";
    find("legend-bar").replaceChildren(...(point?.bar ? barParts(point.bar, previous) : []));
    find("legend-why").textContent = edge ? edge.text : point ? this.#why(point) : "";
  }

  #when({ time, session }) {
    if (this.#timeframe === "w1") return `Week of ${longDate(monday(time))}`;
    if (!isIntraday(this.#timeframe)) return longDate(midnight(time));
    return `${longDate(time)}, ${clock(time)}–${clock(endOf(time, this.#timeframe, session))}`;
  }

  #why({ time, bar, session }) {
    if (!session) return "";
    if (!bar && this.#timeframe === "w1") return "no bar in this week yet";
    return explain(session, time, endOf(time, this.#timeframe, session)).join("; ");
  }
}

function barParts(bar, previous) {
  const rises = bar.close >= bar.open;
  const tone = rises ? "up" : "down";
  const parts = [
    ["O", price(bar.open)],
    ["H", price(bar.high)],
    ["L", price(bar.low)],
    ["C", price(bar.close)],
  ].map(([name, value]) =>
    make("span", {}, make("b", { textContent: name }), make("span", { className: tone, textContent: value })),
  );
  if (previous) {
    parts.push(
      make("span", {
        className: bar.close >= previous.close ? "up" : "down",
        textContent: change(bar.close, previous.close),
      }),
    );
  }
  parts.push(make("span", {}, make("b", { textContent: "Vol" }), volume(bar.volume)));
  parts.push(make("span", { className: "source", textContent: sourceOf(bar) }));
  return parts;
}

function sourceOf(bar) {
  const provider = PROVIDERS[bar.provider] ?? bar.provider;
  if (bar.layer === FORMING) return `${provider}, still forming`;
  if (bar.layer === TODAY) return `${provider}, today`;
  return `${provider}, verified`;
}
