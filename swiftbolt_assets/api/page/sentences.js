/**
 * The server's one-line messages as sentences.
 *
 * What belongs here: one function. What does not: any wording.
 */

export function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
