/**
 * The server's events over `fetch`, because EventSource cannot send the key.
 *
 * What belongs here: reading one stream, noticing that it died, opening the next with growing
 * pauses. What does not: what an event means (feed.js).
 */

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;
/** The server says something every 15 s; two and a half times that is silence. */
const SILENCE_MS = 38_000;

/** The text of one event as `{name, data}`; null for comments. */
function parseEvent(block) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^([^:]*): ?(.*)$/.exec(line) ?? [];
    if (field === "event") name = value;
    if (field === "data") data.push(value);
  }
  return data.length ? { name, data: JSON.parse(data.join("\n")) } : null;
}

export class Stream {
  #open;
  #on;
  #closing = new AbortController();
  #wake = null;

  /**
   * @param open takes an AbortSignal, returns the response
   * @param on `event(name, data)`, `live()` at each first byte, `lost(error, pauseMs)`
   */
  constructor(open, on) {
    this.#open = open;
    this.#on = on;
  }

  /** Listen until `close`. */
  async run() {
    let pause = FIRST_PAUSE_MS;
    while (!this.#closing.signal.aborted) {
      let failure = null;
      try {
        await this.#listen(() => {
          pause = FIRST_PAUSE_MS;
        });
      } catch (error) {
        failure = error;
      }
      if (this.#closing.signal.aborted) return;
      this.#on.lost(failure, pause);
      await this.#rest(pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }

  /** Try again now. */
  hurry() {
    this.#wake?.();
  }

  close() {
    this.#closing.abort();
    this.#wake?.();
  }

  async #listen(heard) {
    const stalled = new AbortController();
    let watch;
    const alive = () => {
      clearTimeout(watch);
      watch = setTimeout(() => stalled.abort(), SILENCE_MS);
    };
    try {
      alive();
      const reply = await this.#open(AbortSignal.any([this.#closing.signal, stalled.signal]));
      const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      let isFirst = true;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        alive();
        if (isFirst) this.#on.live();
        if (isFirst) heard();
        isFirst = false;
        const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
        rest = blocks.pop();
        for (const event of blocks.map(parseEvent)) {
          if (event) this.#on.event(event.name, event.data);
        }
      }
    } finally {
      clearTimeout(watch);
    }
  }

  #rest(milliseconds) {
    return new Promise((resolve) => {
      // Many pages that lost the same server do not come back in the same moment.
      const timer = setTimeout(resolve, milliseconds * (0.8 + Math.random() * 0.4));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
