/**
 * How numbers read: prices, volumes, changes, spans of time.
 *
 * What belongs here: numbers to text. What does not: dates (newyork.js).
 */

const SIGNIFICANT = 4;
const MOST_DECIMALS = 12;
const GROUPED = new Intl.NumberFormat("en-US");
const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 2 });
const MINUS = "−";

export function count(value) {
  return GROUPED.format(value);
}

/** "745,000.00", "0.0004160" */
export function price(value, decimals = digits(value)) {
  return formatOf(decimals).format(value);
}

export function volume(value) {
  return COMPACT.format(value);
}

/** "+1.20 (+0.54 %)" against an earlier price. */
export function change(now, before) {
  const by = now - before;
  const sign = by < 0 ? MINUS : "+";
  const percent = before === 0 ? 0 : (Math.abs(by) / before) * 100;
  return `${sign}${price(Math.abs(by), digits(before))} (${sign}${percent.toFixed(2)} %)`;
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

/** Decimals of a price: cents, parts of them below a dollar; below a cent four digits are significant. */
export function digits(value) {
  const size = Math.abs(value);
  if (size === 0 || size >= 1) return 2;
  if (size >= 0.01) return 4;
  return Math.min(SIGNIFICANT - Math.floor(Math.log10(size)) - 1, MOST_DECIMALS);
}

const formats = new Map();

function formatOf(decimals) {
  if (!formats.has(decimals)) {
    formats.set(
      decimals,
      new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }),
    );
  }
  return formats.get(decimals);
}
