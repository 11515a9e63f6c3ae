/**
 * SwiftBolt's HTTP API, as far as the page speaks to it.
 *
 * What belongs here: one function per endpoint, and what a failed call means. What does not: where
 * the key comes from (credentials.js), when to ask again (feed.js).
 */

const BASE = "/functions/v1/";
const TIMEOUT_MS = 15_000;
const REFUSED = 401;
const INTRADAY = ["m15", "h1", "h4"];
/** Two years: what the page keeps complete and shows. */
const WINDOW_DAYS = 730;

/** A call that failed; `status` is HTTP's, or 0 where the server did not answer. */
class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  get isOffline() {
    return this.status === 0;
  }
}

export class Api {
  #credentials;

  constructor(credentials) {
    this.#credentials = credentials;
  }

  /** Raise the symbol's window to two years and tell how far it is. */
  ensureCoverage(symbol, timeframe, signal) {
    const body = { symbol, timeframe, window_days: WINDOW_DAYS };
    return this.#json("ensure-coverage", { body, signal });
  }

  /** Record interest; `source` is watchlist, chart_view or recent_search. */
  syncSymbols(symbols, source, signal) {
    return this.#json("sync-user-symbols", {
      body: { symbols, source, timeframes: INTRADAY },
      signal,
    });
  }

  /** Bars of the last two years, or of a range `{from, to}` of ISO instants. */
  chart(symbol, timeframe, range, signal) {
    const body = { symbol, timeframe, days: WINDOW_DAYS, includeForecast: false };
    if (range) Object.assign(body, { start: range.from, end: range.to });
    return this.#json("chart-data-v2", { body, signal });
  }

  coverage(symbol, signal) {
    return this.#json(`coverage?${new URLSearchParams({ symbol })}`, { signal });
  }

  search(text, signal) {
    return this.#json(`symbols-search?${new URLSearchParams({ q: text })}`, { signal });
  }

  watchlist(action, symbol) {
    return this.#json("watchlist-sync", { body: { action, symbol } });
  }

  quotes(symbols, signal) {
    return this.#json(`quotes?${new URLSearchParams({ symbols: symbols.join(",") })}`, { signal });
  }

  /** Open the stream of a symbol's events; it lasts until `signal` ends it. */
  events(symbol, timeframe, signal) {
    return this.#ask(`events?${new URLSearchParams({ symbol, timeframe })}`, { signal });
  }

  async #json(path, { body, signal }) {
    const reply = await this.#ask(path, { body, signal, timeout: TIMEOUT_MS });
    try {
      return await reply.json();
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, "the answer broke off");
    }
  }

  /** Ask until the key is taken: a refused one is asked for anew. */
  async #ask(path, { body, signal, timeout }) {
    const key = await this.#credentials.key();
    const headers = { Authorization: `Bearer ${key}` };
    if (body) headers["Content-Type"] = "application/json";
    let reply;
    try {
      reply = await fetch(BASE + path, {
        method: body ? "POST" : "GET",
        headers,
        body: body && JSON.stringify(body),
        signal: AbortSignal.any([signal, timeout && AbortSignal.timeout(timeout)].filter(Boolean)),
        cache: "no-store",
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "the server does not answer");
    }
    if (reply.ok) return reply;
    if (reply.status !== REFUSED) throw new ApiError(reply.status, await said(reply));
    this.#credentials.refuse(key, await said(reply));
    return this.#ask(path, { body, signal, timeout });
  }
}

/** The API's own line about a failure. */
async function said(reply) {
  try {
    return String((await reply.json()).error);
  } catch {
    return `the server answered ${reply.status}`;
  }
}
