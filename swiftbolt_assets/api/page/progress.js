/**
 * How far the two years of a symbol are: percent, bars, slices, and the time that is left.
 *
 * What belongs here: showing it, never going back. What does not: asking for it (feed.js).
 */

import { find } from "./dom.js";
import { count, timeLeft } from "./numbers.js";
import { sentence } from "./sentences.js";
import { TIMEFRAMES } from "./timeframes.js";

/** How long "complete" stays to be seen. */
const FAREWELL_MS = 2_500;
/** A screen reader hears about it so often at most. */
const SPOKEN_EVERY_MS = 10_000;

export class Progress {
  #box = find("progress");
  #percent = 0;
  #isWorking = false;
  #farewell = null;
  #spokenAt = 0;

  /** Begin with another symbol or timeframe. */
  clear() {
    this.#percent = 0;
    this.#isWorking = false;
    clearTimeout(this.#farewell);
    this.#box.hidden = true;
    this.#spokenAt = 0;
    find("progress-spoken").textContent = "";
  }

  /** Show an answer of ensure-coverage, which is also what the stream tells. */
  show(answer) {
    const done = answer.backfill_progress;
    if (answer.status === "coverage_complete") {
      this.#finish(answer, done);
      return;
    }
    clearTimeout(this.#farewell);
    // After an end something new begins, with its own percent.
    this.#percent = this.#isWorking
      ? Math.max(this.#percent, done?.progress_percent ?? 0)
      : (done?.progress_percent ?? 0);
    this.#isWorking = true;
    this.#box.hidden = false;
    this.#box.classList.remove("complete");
    this.#write(answer, {
      percent: this.#percent,
      facts: [
        `${count(done?.bars_written ?? 0)} bars`,
        slices(done),
        answer.eta_seconds === null ? null : timeLeft(answer.eta_seconds),
      ],
      message: answer.message ? sentence(answer.message) : unknownTime(answer),
    });
  }

  #finish(answer, done) {
    if (!this.#isWorking) return;
    this.#isWorking = false;
    this.#percent = 100;
    this.#box.classList.add("complete");
    this.#write(answer, {
      percent: 100,
      facts: [`${count(done?.bars_written ?? 0)} bars`, "complete"],
      message: "",
    });
    this.#farewell = setTimeout(() => {
      this.#box.hidden = true;
    }, FAREWELL_MS);
  }

  #write(answer, { percent, facts, message }) {
    const { name } = TIMEFRAMES[answer.timeframe];
    find("progress-bar").setAttribute("aria-valuenow", String(percent));
    find("progress-fill").style.width = `${percent}%`;
    find("progress-percent").textContent = `${percent} %`;
    find("progress-what").textContent = `Loading two years of ${answer.symbol}`;
    find("progress-facts").textContent = facts.filter(Boolean).join(" · ");
    find("progress-message").textContent = message;
    const now = Date.now();
    if (percent < 100 && now - this.#spokenAt < SPOKEN_EVERY_MS) return;
    this.#spokenAt = now;
    find("progress-spoken").textContent = `${answer.symbol}, ${name}: ${percent} percent loaded`;
  }
}

function unknownTime({ eta_seconds: eta }) {
  return eta === null ? "The time left is not known yet." : "";
}

function slices(done) {
  if (!done?.total_slices) return "starting";
  const failed = done.failed_slices ? `, ${done.failed_slices} failed` : "";
  return `${done.completed_slices} of ${done.total_slices} slices${failed}`;
}
