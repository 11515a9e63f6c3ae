/**
 * The page's address: `#AAPL/h1` says what is shown, so that a reload and a link show it again.
 *
 * What belongs here: reading and writing the part after `#`. What does not: what happens then.
 */

import { parseSymbol } from "./symbols.js";
import { TIMEFRAMES } from "./timeframes.js";

const DEFAULT = { symbol: "AAPL", timeframe: "h1" };

/** Return `{symbol, timeframe}`, the default's where the address names none. */
export function readAddress() {
  const parts = decoded(location.hash.slice(1)).split("/");
  const timeframe = Object.hasOwn(TIMEFRAMES, parts.at(-1)) ? parts.pop() : DEFAULT.timeframe;
  // What is left may be BRK/B.
  return { symbol: parseSymbol(parts.join("/")) ?? DEFAULT.symbol, timeframe };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return ""; // a percent sign that means nothing
  }
}

/** Show the choice in the address; the browser's "back" goes to the one before. */
export function writeAddress({ symbol, timeframe }) {
  const hash = `#${symbol}/${timeframe}`;
  if (location.hash !== hash) history.pushState(null, "", hash);
}
