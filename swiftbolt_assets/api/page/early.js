/**
 * The address's symbol is asked for before the rest of the page is there.
 *
 * The server then plans and launches while the browser still fetches and starts the chart, half a
 * second that the first candles need not wait for. What belongs here: these two calls, made once.
 * What does not: what their answers mean (feed.js).
 */

import { readAddress } from "./address.js";
import { Api } from "./api.js";
import { Credentials } from "./credentials.js";

export const api = new Api(new Credentials());

let asked = ask(readAddress());

/** Return the promises `{interest, window}` of a symbol and timeframe, if just those were asked. */
export function takeEarly(symbol, timeframe) {
  const early = asked;
  asked = null;
  return early?.symbol === symbol && early.timeframe === timeframe ? early : null;
}

function ask({ symbol, timeframe }) {
  const interest = api.syncSymbols([symbol], "chart_view");
  const window = api.ensureCoverage(symbol, timeframe);
  // Who takes them hears of a failure; until then nobody listens, which is no error of its own.
  for (const one of [interest, window]) one.catch(() => null);
  return { symbol, timeframe, interest, window };
}
