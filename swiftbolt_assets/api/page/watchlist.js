/**
 * The watchlist: symbols with their last price; add, remove, open.
 *
 * What belongs here: the list and its calls. What does not: opening a symbol (main.js).
 */

import { find, make } from "./dom.js";
import { percent, price } from "./numbers.js";

const QUOTES_EVERY_MS = 30_000;
const MOST_QUOTES = 50;

export class Watchlist {
  #api;
  #on;
  #list = find("watchlist");
  #symbols = [];
  #quotes = new Map();
  #current = null;
  #hasFailed = false;

  /** @param on `open(symbol)`, `changed()` */
  constructor(api, on) {
    this.#api = api;
    this.#on = on;
    this.#list.addEventListener("keydown", (event) => this.#pressed(event));
    setInterval(() => {
      if (!document.hidden) this.refreshQuotes();
    }, QUOTES_EVERY_MS);
  }

  /** Whether the list could not be read last time. */
  get hasFailed() {
    return this.#hasFailed;
  }

  has(symbol) {
    return this.#symbols.includes(symbol);
  }

  /** Ask for the list. */
  async load() {
    this.#hasFailed = !(await this.#call("list"));
  }

  async add(symbol) {
    if (!(await this.#call("add", symbol))) return;
    try {
      await this.#api.syncSymbols([symbol], "watchlist");
    } catch (error) {
      this.#tell(`${symbol} is on the list, but loading it could not be asked for: ${error.message}.`);
    }
  }

  async remove(symbol) {
    await this.#call("remove", symbol);
  }

  /** Whether a symbol on the list has no price yet. */
  lacksPrice(symbol) {
    return this.has(symbol) && !(this.#quotes.get(symbol)?.last > 0);
  }

  /** Mark the symbol that the chart shows. */
  mark(symbol) {
    this.#current = symbol;
    this.#draw();
  }

  async refreshQuotes() {
    if (!this.#symbols.length) return;
    try {
      const reply = await this.#api.quotes(this.#symbols.slice(0, MOST_QUOTES));
      for (const quote of reply.quotes) this.#quotes.set(quote.symbol, quote);
      this.#draw();
    } catch {
      // The link's light tells it; an old price is better than none.
    }
  }

  async #call(action, symbol) {
    try {
      const reply = await this.#api.watchlist(action, symbol);
      // Not each action answers with the whole list.
      const { items } = reply.items ? reply : await this.#api.watchlist("list");
      this.#symbols = items.map((item) => item.symbol);
      this.#tell("");
      this.#draw();
      this.#on.changed();
      this.refreshQuotes();
      return true;
    } catch (error) {
      this.#tell(`The watchlist could not be ${action === "list" ? "read" : "changed"}: ${error.message}.`);
      return false;
    }
  }

  #tell(sentence) {
    find("watchlist-note").textContent = sentence
      || (this.#symbols.length ? "" : "Empty. Press the star beside a symbol to keep it complete.");
  }

  #draw() {
    const focused = document.activeElement?.closest?.("#watchlist li")?.dataset.symbol;
    this.#list.replaceChildren(...this.#symbols.map((symbol) => this.#row(symbol)));
    if (focused) this.#list.querySelector(`[data-symbol="${CSS.escape(focused)}"] button`)?.focus();
  }

  #row(symbol) {
    const quote = this.#quotes.get(symbol);
    const isPriced = quote && quote.last > 0;
    const open = make(
      "button",
      { type: "button", className: "open" },
      make("b", { textContent: symbol }),
      make("span", { className: "last", textContent: isPriced ? price(quote.last) : "–" }),
      make("span", {
        className: `change ${quote?.change < 0 ? "down" : "up"}`,
        textContent: isPriced ? percent(quote.change_percentage) : "",
      }),
    );
    if (symbol === this.#current) open.setAttribute("aria-current", "true");
    open.addEventListener("click", () => this.#on.open(symbol));
    const remove = make("button", {
      type: "button",
      className: "remove",
      textContent: "×",
      title: `Remove ${symbol}`,
      aria: { label: `Remove ${symbol} from the watchlist` },
    });
    remove.addEventListener("click", () => this.remove(symbol));
    const row = make("li", {}, open, remove);
    row.dataset.symbol = symbol;
    return row;
  }

  #pressed(event) {
    const row = event.target.closest("li");
    if (!row) return;
    const next = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
    if (next) {
      event.preventDefault();
      next.querySelector("button").focus();
    }
    if (event.key === "Delete") this.remove(row.dataset.symbol);
  }
}
