/**
 * One symbol and timeframe, kept fresh: what is there at once, then whatever the server tells.
 *
 * Everything is asked for in the same moment: interest and window are raised, bars and coverage
 * read (after them for a symbol that may be new to the server); then the stream is opened. `bars` fetches just its range. While the stream is away, all is
 * read every 15 seconds. What belongs here: what is asked when. What does not: how a stream lives
 * (stream.js), what a person sees of it (main.js).
 */

import { Bars } from "./bars.js";
import { Coverage } from "./coverage.js";
import { takeEarly } from "./early.js";
import { Stream } from "./stream.js";
import { isIntraday } from "./timeframes.js";

const POLL_MS = 15_000;
/** A refused read is repeated so much later. */
const AGAIN_MS = 4_000;
/** Coverage is read so often at most, however many ranges arrive. */
const COVERAGE_EVERY_MS = 1_000;

export class Feed {
  #api;
  #symbol;
  #timeframe;
  #on;
  #ending = new AbortController();
  #stream;
  #bars;
  #coverage = new Coverage(null);
  #wanted = null;
  #isReading = false;
  #coverageTimer = null;
  #pollTimer = null;
  #again = null;
  #wasLive = false;
  #answer = null;
  #hasRead = false;

  /**
   * @param on `changed(bars, coverage)`, `progress(answer)`, `link(state, pauseMs)`, `failed(error)`
   */
  constructor(api, { symbol, timeframe }, on) {
    this.#api = api;
    this.#symbol = symbol;
    this.#timeframe = timeframe;
    this.#on = on;
    this.#bars = new Bars(timeframe);
    this.#stream = new Stream((signal) => api.events(symbol, timeframe, signal), {
      event: (name, data) => this.#hear(name, data),
      live: () => this.#live(),
      lost: (error, pauseMs) => this.#lost(error, pauseMs),
    });
  }

  get bars() {
    return this.#bars;
  }

  get coverage() {
    return this.#coverage;
  }

  /** What ensure-coverage or the stream said last; null before. */
  get answer() {
    return this.#answer;
  }

  /** Whether stored bars were read at least once. */
  get hasRead() {
    return this.#hasRead;
  }

  async start() {
    this.#on.link("connecting");
    this.#readAll();
    await this.#raise();
    if (this.#isOver) return;
    this.#stream.run();
  }

  stop() {
    this.#ending.abort();
    this.#stream.close();
    clearTimeout(this.#coverageTimer);
    clearTimeout(this.#pollTimer);
    clearTimeout(this.#again);
  }

  /** Ask for everything again, now. */
  retry() {
    this.#stream.hurry();
    this.#poll();
  }

  get #isOver() {
    return this.#ending.signal.aborted;
  }

  /** Record that a person looks at it, and have two years of it kept. */
  async #raise() {
    const { signal } = this.#ending;
    const { interest, window } = takeEarly(this.#symbol, this.#timeframe) ?? {
      interest: this.#api.syncSymbols([this.#symbol], "chart_view", signal),
      window: this.#api.ensureCoverage(this.#symbol, this.#timeframe, signal),
    };
    await Promise.all([
      this.#guard(window.then((answer) => this.#tell(answer))),
      this.#guard(interest),
    ]);
  }

  #tell(answer) {
    const wasComplete = this.#answer?.status === "coverage_complete";
    this.#answer = answer;
    this.#on.progress(answer);
    if (!wasComplete && answer.status === "coverage_complete") this.#readCoverage();
  }

  #hear(name, data) {
    if (name === "progress") {
      this.#tell(data);
      this.#refreshCoverage();
    }
    if (name === "bars") {
      // A day or week is made of all its bars, so a part of one would be another.
      this.#read(isIntraday(this.#timeframe) ? { from: data.from, to: data.to } : null);
      this.#refreshCoverage();
    }
    if (name === "resync") this.#readAll();
  }

  #live() {
    clearTimeout(this.#pollTimer);
    this.#on.link("live");
    // Between reading and listening something may have been stored.
    if (this.#wasLive || this.#answer?.status !== "coverage_complete") this.#readAll();
    this.#wasLive = true;
  }

  #lost(error, pauseMs) {
    if (this.#isOver) return;
    this.#on.link(error?.isOffline ? "offline" : "polling", pauseMs);
    clearTimeout(this.#pollTimer);
    this.#pollTimer = setTimeout(() => this.#poll(), POLL_MS);
  }

  async #poll() {
    clearTimeout(this.#pollTimer);
    await this.#raise();
    this.#readAll();
    if (!this.#isOver) this.#pollTimer = setTimeout(() => this.#poll(), POLL_MS);
  }

  #readAll() {
    clearTimeout(this.#again);
    this.#again = null;
    this.#read(null);
    this.#readCoverage();
  }

  /** Read a range, or everything; what comes meanwhile is read together afterwards. */
  async #read(range) {
    this.#wanted = this.#wanted === null ? { range } : { range: union(this.#wanted.range, range) };
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#wanted && !this.#isOver) {
      const { range: now } = this.#wanted;
      this.#wanted = null;
      const error = await this.#guard(this.#readNow(now));
      // Where the server is away, the stream tells when it is back.
      if (error && !error.isOffline) this.#again ??= setTimeout(() => this.#readAll(), AGAIN_MS);
    }
    this.#isReading = false;
  }

  async #readNow(range) {
    const { signal } = this.#ending;
    this.#bars.merge(await this.#api.chart(this.#symbol, this.#timeframe, range, signal), range);
    this.#hasRead = true;
    this.#on.changed(this.#bars, this.#coverage);
  }

  #refreshCoverage() {
    this.#coverageTimer ??= setTimeout(() => this.#readCoverage(), COVERAGE_EVERY_MS);
  }

  async #readCoverage() {
    clearTimeout(this.#coverageTimer);
    this.#coverageTimer = null;
    await this.#guard(this.#readCoverageNow());
  }

  async #readCoverageNow() {
    this.#coverage = new Coverage(await this.#api.coverage(this.#symbol, this.#ending.signal));
    this.#on.changed(this.#bars, this.#coverage);
  }

  /** Report a failure unless this feed is over, and return it; null where all went well. */
  async #guard(work) {
    try {
      await work;
    } catch (error) {
      if (this.#isOver || error.name === "AbortError") return null;
      this.#on.failed(error);
      return error;
    }
    return null;
  }
}

/** The smallest range that holds both; null is everything. */
function union(one, other) {
  if (one === null || other === null) return null;
  return {
    from: one.from < other.from ? one.from : other.from,
    to: one.to > other.to ? one.to : other.to,
  };
}
