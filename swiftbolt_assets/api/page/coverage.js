/**
 * Which sessions are not simply full, and why, in words.
 *
 * What belongs here: reading the answer of `coverage`, and its words. What does not: where that
 * lies on the axis (timeline.js), how it is drawn (bands.js, strip.js).
 */

import { clock, dateTime, wallClock } from "./newyork.js";

const SLOT = 900;
/** What the ledger's word says to a person, after "no trade 11:15-12:00" or a date. */
const REASONS = {
  no_trade: "no trade",
  halted: "trading was halted",
  not_listed: "not listed",
  delisted: "trades no more",
  plan_cut: "older than the provider's plan reaches",
  rejected: "delivered, but not believable",
  unconfirmed: "no bars, not confirmed yet",
  provider_empty: "the provider has no bars",
  provider_error: "the provider failed",
  not_fetched: "not loaded yet",
};
/** Reasons that go back without end: no bar is to be expected before a day. */
const BEFORE = ["not_listed", "plan_cut"];

export class Coverage {
  /** @param reply the answer of `coverage`, or null before there is one */
  constructor(reply) {
    this.isKnown = reply !== null;
    this.isSimulated = reply?.data_source === "simulated";
    this.name = reply?.name ?? "";
    this.today = reply?.today ?? null;
    this.window = reply?.window ?? null;
    this.splits = reply?.splits ?? [];
    this.delisted = reply?.delisted ?? null;
    this.work = reply?.work ?? [];
    this.sessions = (reply?.sessions ?? []).map((session) => ({
      ...session,
      work: this.#workOn(session.day),
      holes: holesOf(session),
    }));
    this.#byDay = new Map(this.sessions.map((session) => [session.day, session]));
  }

  #byDay;

  /** The session of a date if it is not simply full. */
  session(day) {
    return this.#byDay.get(day) ?? null;
  }

  /** Why nothing is to be had before a day: `{reason, day}` of the last such session, or null. */
  get edge() {
    const last = this.sessions.findLast(isBefore);
    return last ? { reason: last.reason, day: last.day } : null;
  }

  #workOn(day) {
    return this.work.find((work) => work.first_day <= day && day <= work.last_day) ?? null;
  }
}

/** No bar of this session is to be expected, nor of any older one. */
export function isBefore(session) {
  return session.bars === 0 && BEFORE.includes(session.reason);
}

/** The symbol traded no more in this session. */
export function isAfter(session) {
  return session.bars === 0 && session.reason === "delisted";
}

/** Something of this session is still to be asked for, and it is not today's. */
export function isLoading(session, today) {
  return session.day !== today && session.state !== "final";
}

/** How far the loading of a session is: running, waiting, retrying or failed. */
export function loadingState(session) {
  return { running: "running", retrying: "retrying", failed: "failed" }[session.work?.state]
    ?? "waiting";
}

/** A sentence for each run of quarter hours without a bar that touches `[from, to)`. */
export function explain(session, from, to) {
  if (session.bars === 0) return [`${session.day}: ${wordOf(session)}`];
  return session.holes
    .filter((hole) => hole.from < to && hole.to > from)
    .map((hole) => `${session.day}: ${holeText(hole)}`);
}

/** "not listed before 2025-06-16" */
export function edgeText(reason, day) {
  return reason === "not_listed"
    ? `not listed before ${day}`
    : `before ${day}: ${REASONS[reason] ?? reason}`;
}

/** Why a session has no bar at all. */
export function wordOf(session) {
  if (session.state === "final") return REASONS[session.reason] ?? session.reason ?? "no bars";
  const work = session.work;
  if (work?.state === "failed") return `loading failed: ${work.error_message ?? "no reason told"}`;
  if (work?.state === "retrying") return `asking again: ${work.error_message ?? "it failed"}`;
  if (work?.state === "running") return "loading now";
  return REASONS.not_fetched;
}

function holeText({ from, to, reason }) {
  const span = `${clock(from)}–${clock(to)}`;
  if (reason === "no_trade") return `no trade ${span}`;
  if (reason === "halted") return `no trade ${span} (halted)`;
  if (reason === "unconfirmed") return `no bars ${span}, not confirmed yet`;
  return `${span} ${REASONS[reason] ?? reason}`;
}

/** Neighbouring quarter hours with the same reason, as `{from, to, reason}` in chart time. */
function holesOf(session) {
  const holes = [];
  for (const [start, reason] of Object.entries(session.absences ?? {}).sort()) {
    const from = wallClock(start);
    const before = holes.at(-1);
    if (before?.to === from && before.reason === reason) before.to = from + SLOT;
    else holes.push({ from, to: from + SLOT, reason });
  }
  return holes;
}

/** Chart time of a session's start and end. */
export function hours(session) {
  return {
    from: session.opens ? wallClock(session.opens) : dateTime(session.day),
    to: session.closes ? wallClock(session.closes) : dateTime(session.day),
  };
}
