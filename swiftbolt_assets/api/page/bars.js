/**
 * The bars of one symbol and timeframe, by their time: ranges replace ranges.
 *
 * What belongs here: holding and merging. What does not: the places of bars that are not there
 * (timeline.js), asking for them (feed.js).
 */

import { chartTime, wallClock } from "./newyork.js";

/** From settled to moving; what a bar's looks tell. */
export const HISTORY = "history";
export const TODAY = "today";
export const FORMING = "forming";

export class Bars {
  #timeframe;
  #byTime = new Map();
  #sorted = null;

  constructor(timeframe) {
    this.#timeframe = timeframe;
  }

  /**
   * Take a reply of chart-data-v2.
   *
   * @param range what was asked for, `{from, to}`, both included; null for everything. Bars
   *   that lie in it and are not in the reply are gone.
   */
  merge(reply, range) {
    this.#forget(range);
    const { historical, intraday } = reply.layers;
    for (const row of [...historical.data, ...intraday.data]) {
      const bar = this.#read(row);
      this.#byTime.set(bar.time, bar);
    }
    this.#sorted = null;
  }

  /** All bars, oldest first. */
  get list() {
    this.#sorted ??= [...this.#byTime.values()].sort((one, other) => one.time - other.time);
    return this.#sorted;
  }

  get last() {
    return this.list.at(-1) ?? null;
  }

  #forget(range) {
    if (range === null) {
      this.#byTime.clear();
      return;
    }
    const [from, to] = [wallClock(range.from), wallClock(range.to)];
    for (const time of this.#byTime.keys()) {
      if (time >= from && time <= to) this.#byTime.delete(time);
    }
  }

  #read(row) {
    const close = Number(row.close);
    return {
      time: chartTime(row.ts, this.#timeframe),
      ts: row.ts,
      open: row.open ?? close,
      high: row.high ?? close,
      low: row.low ?? close,
      close,
      volume: row.volume ?? 0,
      provider: row.provider,
      layer: layerOf(row),
    };
  }
}

function layerOf(row) {
  return { provisional: FORMING, live: TODAY }[row.data_status] ?? HISTORY;
}
