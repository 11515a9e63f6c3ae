/**
 * The chart's axis: every place that has a bar, should get one, or has a reason to have none.
 *
 * Sessions that are still to be loaded have their places from the start, so that bars drop into
 * them and nothing that a person looks at moves. What belongs here: points and bands by index,
 * pure. What does not: drawing (chart.js, bands.js).
 */

import { edgeText, hours, isAfter, isBefore, isLoading, loadingState, wordOf } from "./coverage.js";
import { dateTime, isoDate, midnight, monday } from "./newyork.js";
import { TIMEFRAMES } from "./timeframes.js";

/**
 * Lay out bars and sessions.
 *
 * @returns `points`: `{time, bar, session}` by time, one of the two may be null;
 *   `bands`: `{from, to, kind, labels}` over indices, ends included, the longest label first;
 *   `edge`: why there is nothing before the first point, or null
 */
export function layOut(bars, coverage, timeframe) {
  const points = new Map();
  for (const session of coverage.sessions) {
    for (const time of places(session, coverage, timeframe, bars.at(-1))) {
      points.set(time, { time, bar: null, session });
    }
  }
  for (const bar of bars) {
    const session = coverage.session(isoDate(bar.time));
    points.set(bar.time, { time: bar.time, bar, session });
  }
  const sorted = [...points.values()].sort((one, other) => one.time - other.time);
  return {
    points: sorted,
    bands: bandsOf(sorted, coverage),
    edge: edgeOf(coverage, sorted[0]),
  };
}

/** Index of the first point at or after a time. */
export function indexAt(points, time) {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle].time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Chart time at which a point's bar ends. */
export function endOf(time, timeframe, session) {
  const { seconds } = TIMEFRAMES[timeframe];
  if (seconds === null) return time + (timeframe === "d1" ? 86_400 : 7 * 86_400);
  // New York closes at 16:00, where an early close is not known to be one.
  const closes = session?.closes ? hours(session).to : midnight(time) + 16 * 3_600;
  return Math.min(time + seconds, Math.max(closes, time + 900));
}

function places(session, coverage, timeframe, lastBar) {
  // What trades no more ends at its last bar.
  if (isBefore(session) || isAfter(session)) return [];
  const { seconds } = TIMEFRAMES[timeframe];
  const day = dateTime(session.day);
  if (seconds === null) {
    if (session.day === coverage.today) return [];
    return [timeframe === "d1" ? day : monday(day)];
  }
  const { from, to } = hours(session);
  const times = [];
  for (let time = from; time < to; time += seconds) times.push(time);
  if (session.day !== coverage.today) return times;
  // What today still brings has no place yet: the newest bar stays at the right edge.
  return times.filter((time) => lastBar && time < lastBar.time);
}

function bandsOf(points, coverage) {
  const bands = [];
  points.forEach((point, index) => {
    const kind = bandKind(point, coverage);
    const last = bands.at(-1);
    if (kind === null) return;
    if (last && last.kind === kind && last.to === index - 1) {
      last.to = index;
      last.lastTime = point.time;
    } else {
      bands.push({ from: index, to: index, kind, firstTime: point.time, lastTime: point.time });
    }
  });
  return bands.map((band) => ({ ...band, labels: bandLabels(band, points) }));
}

/** running, waiting, retrying, failed; absent; today; or null for what needs no band. */
function bandKind({ bar, session, time }, coverage) {
  if (bar) return isoDate(time) === coverage.today && bar.layer !== "history" ? "today" : null;
  if (isLoading(session, coverage.today)) return loadingState(session);
  return session.bars === 0 ? "absent" : null;
}

function bandLabels({ kind, firstTime, lastTime, from }, points) {
  if (kind === "today") return ["today"];
  const [first, last] = [isoDate(firstTime), isoDate(lastTime)];
  if (kind === "absent") {
    const word = wordOf(points[from].session);
    return [`${first}: ${word}`, word];
  }
  const words = {
    running: "loading",
    waiting: "to be loaded",
    retrying: "asking again",
    failed: "loading failed",
  }[kind];
  if (first === last) return [`${words} ${first}`, words];
  return [`${words} ${first} … ${last}`, `${words} ${first.slice(0, 7)} … ${last.slice(0, 7)}`, words];
}

function edgeOf(coverage, first) {
  const { edge } = coverage;
  if (edge === null) return null;
  // A place that waits may still turn out to lie before the listing.
  if (!first?.bar) return null;
  return { text: edgeText(edge.reason, isoDate(first.time)) };
}
