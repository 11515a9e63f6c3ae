/**
 * What a ticker symbol is; the server's rule, so that nonsense is told before it is sent.
 *
 * What belongs here: the spelling. What does not: whether it exists, which the providers settle.
 */

const SYMBOL = /^[A-Z][A-Z0-9]{0,9}(\.[A-Z][A-Z0-9]{0,3})?$/;

/** The canonical symbol of what a person typed, or null. */
export function parseSymbol(text) {
  const candidate = text.trim().toUpperCase().replace("/", ".");
  return SYMBOL.test(candidate) ? candidate : null;
}
