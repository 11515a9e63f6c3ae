/**
 * What a ticker symbol is; the server's rule (market/symbols.py), so that nonsense is told before it
 * is sent.
 *
 * What belongs here: the spelling. What does not: whether it exists, which the providers settle.
 */

const SYMBOL = /^[A-Z][A-Za-z0-9]{0,9}(\.[A-Z][A-Za-z0-9]{0,3}){0,2}$/;
const ASCII = /^[!-~]+$/;

/** The canonical symbol of what a person typed, or null: with a capital in it as it is typed. */
export function parseSymbol(text) {
  const typed = text.trim().replace(/[-/]/g, ".");
  if (!ASCII.test(typed)) return null;
  // The one place that changes case: small letters alone mean capitals.
  const candidate = typed === typed.toLowerCase() ? typed.toUpperCase() : typed;
  return SYMBOL.test(candidate) ? candidate : null;
}

/** Whether a text may be a name as well: tickers are mostly typed in capitals alone. */
export function mayBeName(text) {
  return text !== text.toUpperCase();
}
