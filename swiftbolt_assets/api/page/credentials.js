/**
 * The key that the page shows to the API: the server's own where it listens on loopback, else one
 * that the person is asked for once a tab.
 *
 * What belongs here: having a key, asking for one. What does not: sending it (api.js).
 */

import { sentence } from "./sentences.js";

/** Where a page of the same origin that signs people in hands their token over. */
const KEPT = "swiftbolt-key";

export class Credentials {
  #given = document.querySelector('meta[name="swiftbolt-anon-key"]').content.trim();
  #refused = null;
  #why = "";
  #asking = null;

  /** The key; waits for the person where there is none. */
  async key() {
    return this.#known() ?? (await this.#ask());
  }

  /** The server did not take a key, and said why: whoever wants one next is asked for another. */
  refuse(key, why) {
    if (key !== this.#known()) return; // a late answer about one that was replaced meanwhile
    this.#refused = key;
    this.#why = why;
    sessionStorage.removeItem(KEPT);
  }

  #known() {
    // A person whose token has expired does not become the app's user by that.
    const key = sessionStorage.getItem(KEPT) || (this.#refused === null && this.#given);
    return key && key !== this.#refused ? key : null;
  }

  #ask() {
    this.#asking ??= new Promise((resolve) => {
      const dialog = document.getElementById("key-dialog");
      const field = document.getElementById("key-field");
      const refused = document.getElementById("key-refused");
      refused.hidden = this.#refused === null;
      refused.textContent = `The key was not taken. ${sentence(this.#why)}`;
      // Without a key there is nothing to see behind it.
      dialog.addEventListener("cancel", (event) => event.preventDefault());
      dialog.addEventListener(
        "close",
        () => {
          sessionStorage.setItem(KEPT, field.value.trim());
          field.value = "";
          this.#asking = null;
          resolve(sessionStorage.getItem(KEPT));
        },
        { once: true },
      );
      dialog.showModal();
    });
    return this.#asking;
  }
}
