/**
 * The key that the page shows to the API: the server's own where it listens on loopback, else one
 * that the person is asked for once a tab.
 *
 * What belongs here: having a key, asking for one. What does not: sending it (api.js).
 */

const KEPT = "swiftbolt-key";

export class Credentials {
  #given = document.querySelector('meta[name="swiftbolt-anon-key"]').content.trim();
  #refused = null;
  #asking = null;

  /** The key; waits for the person where there is none. */
  async key() {
    return this.#known() ?? (await this.#ask());
  }

  /** The server did not take a key: whoever wants one next is asked for another. */
  refuse(key) {
    if (key !== this.#known()) return; // a late answer about one that was replaced meanwhile
    this.#refused = key;
    sessionStorage.removeItem(KEPT);
  }

  #known() {
    const key = sessionStorage.getItem(KEPT) || this.#given;
    return key && key !== this.#refused ? key : null;
  }

  #ask() {
    this.#asking ??= new Promise((resolve) => {
      const dialog = document.getElementById("key-dialog");
      const field = document.getElementById("key-field");
      document.getElementById("key-refused").hidden = this.#refused === null;
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
