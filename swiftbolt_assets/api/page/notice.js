/**
 * Sentences in place of bars, and above them: nothing yet, nothing at all, failed, offline.
 *
 * What belongs here: the two boxes. What does not: when which sentence is due (main.js).
 */

import { find } from "./dom.js";

/** The box in the middle of an empty chart. */
export class Notice {
  #box = find("notice");

  constructor(onRetry) {
    find("notice-retry").addEventListener("click", onRetry);
  }

  /** @param what `{title, text, isBusy, canRetry}`; null hides it */
  show(what) {
    this.#box.hidden = what === null;
    if (what === null) return;
    find("notice-title").textContent = what.title;
    find("notice-text").textContent = what.text;
    find("notice-busy").hidden = !what.isBusy;
    find("notice-retry").hidden = !what.canRetry;
  }
}

/** The line above the page while the server is away, and the light in the header. */
export class Link {
  #box = find("offline");
  #timer = null;

  constructor(onRetry) {
    find("offline-retry").addEventListener("click", onRetry);
  }

  /** @param state connecting, live, polling or offline */
  show(state, pauseMs = 0) {
    const words = {
      connecting: "connecting",
      live: "live",
      polling: "reconnecting",
      offline: "offline",
    };
    const light = find("link");
    light.dataset.state = state;
    find("link-text").textContent = words[state];
    this.#box.hidden = state !== "offline";
    clearInterval(this.#timer);
    if (state === "offline") this.#countDown(Date.now() + pauseMs);
  }

  #countDown(until) {
    const tell = () => {
      const left = Math.ceil((until - Date.now()) / 1_000);
      find("offline-when").textContent = left > 0 ? `Next try in ${left} s.` : "Trying now …";
    };
    tell();
    this.#timer = setInterval(tell, 1_000);
  }
}
