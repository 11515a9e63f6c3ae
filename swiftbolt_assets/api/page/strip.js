/**
 * The strip under the chart: the two years on one line, what of them is there, and what part of
 * them the chart shows. A click goes there.
 *
 * What belongs here: canvas and pointer. What does not: sessions' states (coverage.js).
 */

import { explain, isBefore, isLoading, loadingState } from "./coverage.js";
import { find } from "./dom.js";
import { dateTime, isoDate, longDate } from "./newyork.js";

const DAY = 86_400;
/** Pixels that a single day gets, to be seen. */
const THINNEST = 2;
/** Sessions so near to each other are drawn as one: a week-end or a holiday lies between. */
const NEAR = 4 * DAY;

export class Strip {
  #canvas = find("strip");
  #coverage = null;
  #view = null;
  #colors = null;
  #hasBars = false;

  /** @param onPick called with a date that was clicked */
  constructor(onPick) {
    this.#canvas.addEventListener("click", (event) => {
      const date = this.#dateAt(event.offsetX);
      if (date) onPick(date);
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      const date = this.#dateAt(event.offsetX);
      this.#canvas.title = date ? this.#tell(date) : "";
    });
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
  }

  show(coverage, hasBars) {
    this.#coverage = coverage;
    this.#hasBars = hasBars;
    const { window: span } = coverage;
    find("strip-from").textContent = span ? longDate(dateTime(span.first_day)) : "";
    find("strip-to").textContent = span ? longDate(dateTime(span.last_day)) : "";
    this.#canvas.setAttribute("aria-label", summary(coverage));
    this.#draw();
  }

  /** @param view `{from, to}` in chart time: what the chart shows */
  look(view) {
    this.#view = view;
    this.#draw();
  }

  paint(colors) {
    this.#colors = colors;
    this.#draw();
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const ratio = devicePixelRatio;
    this.#canvas.width = width * ratio;
    this.#canvas.height = height * ratio;
    const context = this.#canvas.getContext("2d");
    context.scale(ratio, ratio);
    if (!this.#colors) return;
    const top = 4;
    const thick = height - 2 * top;
    const isFull = this.#hasBars && this.#coverage?.window;
    context.fillStyle = isFull ? this.#colors.stored : this.#colors.empty;
    context.fillRect(0, top, width, thick);
    if (!this.#coverage?.window) return;
    for (const run of runsOf(this.#coverage)) {
      context.fillStyle = this.#colors.empty;
      const left = this.#x(run.from, width);
      const wide = Math.max(this.#x(run.to + DAY, width) - left, THINNEST);
      context.fillRect(left, top, wide, thick);
      context.fillStyle = this.#colors[run.kind];
      context.fillRect(left, top, wide, thick);
    }
    if (!this.#view) return;
    const left = Math.max(this.#x(this.#view.from, width), 0);
    const right = Math.min(this.#x(this.#view.to + DAY, width), width);
    context.strokeStyle = this.#colors.view;
    context.lineWidth = 1.5;
    context.strokeRect(left + 0.75, 0.75, Math.max(right - left, 3) - 1.5, height - 1.5);
  }

  #x(time, width) {
    const { first_day: first, last_day: last } = this.#coverage.window;
    const [from, to] = [dateTime(first), dateTime(last) + DAY];
    return ((time - from) / (to - from)) * width;
  }

  #dateAt(x) {
    const span = this.#coverage?.window;
    if (!span) return null;
    const [from, to] = [dateTime(span.first_day), dateTime(span.last_day) + DAY];
    return isoDate(from + (x / this.#canvas.clientWidth) * (to - from));
  }

  #tell(date) {
    const session = this.#coverage.session(date);
    if (!session) return date;
    return explain(session, 0, Infinity).join("; ") || date;
  }
}

/** Neighbouring sessions of one kind, as `{from, to, kind}`. */
function runsOf(coverage) {
  const runs = [];
  for (const session of coverage.sessions) {
    const kind = kindOf(session, coverage.today);
    if (kind === null) continue;
    const time = dateTime(session.day);
    const last = runs.at(-1);
    if (last && last.kind === kind && time - last.to <= NEAR) last.to = time;
    else {
      if (last && time - last.to <= NEAR) last.to = time - DAY;
      runs.push({ from: time, to: time, kind });
    }
  }
  return runs;
}

function kindOf(session, today) {
  if (isBefore(session)) return "none";
  if (isLoading(session, today)) return loadingState(session);
  return session.bars === 0 && session.day !== today ? "absent" : null;
}

function summary(coverage) {
  const { window: span, sessions, today } = coverage;
  if (!span) return "Nothing is known of the two years yet.";
  const loading = sessions.filter((session) => isLoading(session, today)).length;
  const state = loading ? `${loading} sessions are still to be loaded` : "every session is settled";
  return `From ${span.first_day} to ${span.last_day}: ${state}.`;
}
