/**
 * How numbers read: prices, volumes, changes, spans of time.
 *
 * What belongs here: numbers to text. What does not: dates (newyork.js).
 */

const GROUPED = new Intl.NumberFormat("en-US");
const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 2 });
const MINUS = "−";

export function count(value) {
  return GROUPED.format(value);
}

export function price(value) {
  return value.toFixed(digits(value));
}

export function volume(value) {
  return COMPACT.format(value);
}

/** "+1.20 (+0.54 %)" against an earlier price. */
export function change(now, before) {
  const by = now - before;
  const sign = by < 0 ? MINUS : "+";
  const percent = before === 0 ? 0 : (Math.abs(by) / before) * 100;
  return `${sign}${Math.abs(by).toFixed(digits(before))} (${sign}${percent.toFixed(2)} %)`;
}

/** "+0.54 %" */
export function percent(value) {
  return `${value < 0 ? MINUS : "+"}${Math.abs(value).toFixed(2)} %`;
}

/** "about 3 min left" */
export function timeLeft(seconds) {
  if (seconds < 8) return "a few seconds left";
  if (seconds < 55) return `about ${Math.ceil(seconds / 5) * 5} s left`;
  if (seconds < 5_400) return `about ${Math.round(seconds / 60) || 1} min left`;
  return `about ${Math.round(seconds / 3_600)} h left`;
}

/** Prices below a dollar move in parts of a cent. */
export function digits(value) {
  return Math.abs(value) < 1 ? 4 : 2;
}
