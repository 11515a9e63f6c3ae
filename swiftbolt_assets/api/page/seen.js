/**
 * Which symbols the server is known to know.
 *
 * Bars of such a symbol are asked for in the same moment as everything else; those of another
 * would be refused until interest in it is recorded. What belongs here: that memory. What does not:
 * what is asked when (feed.js).
 */

const KEPT = "swiftbolt-seen";
const MOST = 200;

export function isSeen(symbol) {
  return all().includes(symbol);
}

export function see(symbol) {
  const others = all().filter((other) => other !== symbol);
  localStorage.setItem(KEPT, JSON.stringify([symbol, ...others].slice(0, MOST)));
}

function all() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(kept) ? kept : [];
  } catch {
    return []; // something else wrote there
  }
}
