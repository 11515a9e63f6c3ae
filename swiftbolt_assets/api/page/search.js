/**
 * The search box: type, see what fits, choose with the keyboard or the pointer.
 *
 * What belongs here: the box and its list (the combobox pattern of WAI-ARIA). What does not: what
 * choosing a symbol does (main.js).
 */

import { find, make } from "./dom.js";
import { mayBeName, parseSymbol } from "./symbols.js";

const PAUSE_MS = 120;
const NEW = "Not tracked yet: add it and load two years";

export class Search {
  #field = find("search");
  #list = find("search-results");
  #api;
  #onChoose;
  #found = [];
  #foundFor = null;
  #active = -1;
  #timer = null;
  #asking = null;

  /** @param onChoose called with the symbol that was chosen */
  constructor(api, onChoose) {
    this.#api = api;
    this.#onChoose = onChoose;
    this.#field.addEventListener("input", () => this.#typed());
    this.#field.addEventListener("keydown", (event) => this.#pressed(event));
    this.#field.addEventListener("blur", () => this.close());
    this.#field.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  focus() {
    this.#field.focus();
    this.#field.select();
  }

  close() {
    clearTimeout(this.#timer);
    this.#asking?.abort();
    this.#foundFor = null;
    this.#show([], "");
  }

  #typed() {
    clearTimeout(this.#timer);
    const text = this.#field.value.trim();
    if (text) this.#timer = setTimeout(() => this.#look(text), PAUSE_MS);
    else this.close();
  }

  async #look(text) {
    this.#asking?.abort();
    this.#asking = new AbortController();
    try {
      const found = await this.#api.search(text, this.#asking.signal);
      this.#foundFor = text;
      this.#show(found, found.length ? "" : "No symbol fits. Tickers look like AAPL or BRK.B.");
    } catch (error) {
      if (error.name !== "AbortError") this.#show([], `Search failed: ${error.message}.`);
    }
  }

  #show(found, sentence) {
    this.#found = found;
    this.#active = -1;
    const rows = found.map((row, index) => this.#row(row, index));
    this.#list.replaceChildren(...rows);
    const note = find("search-note");
    note.textContent = sentence;
    note.hidden = !sentence;
    this.#list.hidden = rows.length === 0;
    this.#field.setAttribute("aria-expanded", String(rows.length > 0));
    this.#field.removeAttribute("aria-activedescendant");
  }

  #row(row, index) {
    const isNew = row.known === false;
    const option = make(
      "li",
      { id: `result-${index}`, role: "option", aria: { selected: "false" } },
      make("b", { textContent: row.ticker }),
      make("span", {
        textContent: row.description || (isNew ? NEW : ""),
        title: isNew ? NEW : row.description,
      }),
    );
    if (isNew) option.classList.add("new");
    // Before the field loses the focus, which would close the list.
    option.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.#choose(row.ticker);
    });
    return option;
  }

  #pressed(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.#move(event.key === "ArrowDown" ? 1 : -1);
    }
    if (event.key === "Escape") {
      this.#field.value = "";
      this.#field.blur();
    }
  }

  #move(by) {
    const rows = [...this.#list.children];
    if (!rows.length) return;
    this.#active = (this.#active + by + rows.length + (this.#active < 0 && by < 0 ? 1 : 0)) % rows.length;
    rows.forEach((row, index) => row.setAttribute("aria-selected", String(index === this.#active)));
    rows[this.#active].scrollIntoView({ block: "nearest" });
    this.#field.setAttribute("aria-activedescendant", rows[this.#active].id);
  }

  async #submit() {
    const text = this.#field.value.trim();
    if (!text) return;
    let chosen = this.#found[this.#active]?.ticker;
    if (!chosen && mayBeName(text)) {
      // A name must not open the company whose ticker is spelled like it: a person sees and chooses.
      if (this.#foundFor !== text) {
        clearTimeout(this.#timer);
        await this.#look(text);
        if (this.#field.value.trim() !== text) return;
      }
      const [first] = this.#found;
      if (first && first.ticker !== parseSymbol(text)) {
        this.#move(1);
        return;
      }
    }
    chosen ??= parseSymbol(text);
    if (chosen) this.#choose(chosen);
    else this.#show([], "That is no ticker. Tickers look like AAPL or BRK.B.");
  }

  #choose(symbol) {
    this.#field.value = "";
    this.#field.blur();
    this.#onChoose(symbol);
  }
}
