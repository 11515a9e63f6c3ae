/**
 * The five timeframes: how they read, and how long a bar of each lasts.
 *
 * What belongs here: the table. What does not: where bars lie on the axis (timeline.js).
 */

export const TIMEFRAMES = {
  m15: { label: "15m", name: "15 minutes", seconds: 900 },
  h1: { label: "1h", name: "1 hour", seconds: 3_600 },
  h4: { label: "4h", name: "4 hours", seconds: 14_400 },
  d1: { label: "1D", name: "1 day", seconds: null },
  w1: { label: "1W", name: "1 week", seconds: null },
};

export function isIntraday(timeframe) {
  return TIMEFRAMES[timeframe].seconds !== null;
}
