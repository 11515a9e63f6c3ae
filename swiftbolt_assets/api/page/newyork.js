/**
 * New York's wall clock, the only one that the chart shows.
 *
 * The chart library knows no zones and treats seconds as UTC. So a bar's place on the axis, its
 * "chart time", is New York's wall clock written as if it were UTC; days and months then begin
 * where they do on the exchange. What belongs here: instants, dates and how they read. What does
 * not: which slots a session has (timeline.js).
 */

const DAY = 86_400;
/** Within every session, and far from two o'clock on a Sunday, when the offset changes. */
const MIDDAY_UTC = 17 * 3_600;
const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const OFFSET = new Intl.DateTimeFormat("en-US", {
  timeZone: "America/New_York",
  timeZoneName: "longOffset",
});
const offsets = new Map();

/** Chart time in seconds of an instant in ISO 8601. */
export function wallClock(iso) {
  const seconds = Date.parse(iso) / 1_000;
  return seconds + offset(Math.floor(seconds / DAY));
}

/** Chart time of an ISO instant on the axis of a timeframe: days and weeks begin at midnight. */
export function chartTime(iso, timeframe) {
  if (timeframe !== "d1" && timeframe !== "w1") return wallClock(iso);
  const seconds = Date.parse(iso) / 1_000;
  // A daily bar that is named by midnight UTC means that date, whatever the clock in New York.
  const local = seconds % DAY === 0 ? seconds : wallClock(iso);
  return timeframe === "d1" ? midnight(local) : monday(local);
}

/** Chart time of the midnight at which a date such as 2026-11-20 begins. */
export function dateTime(date) {
  return Date.parse(`${date}T00:00:00Z`) / 1_000;
}

export function midnight(time) {
  return Math.floor(time / DAY) * DAY;
}

/** Midnight of the week's Monday; day 0 of the epoch was a Thursday. */
export function monday(time) {
  const day = Math.floor(time / DAY);
  return (day - ((day + 3) % 7)) * DAY;
}

/** 2026-11-20 */
export function isoDate(time) {
  return new Date(time * 1_000).toISOString().slice(0, 10);
}

/** Thu 20 Nov 2026 */
export function longDate(time) {
  const date = new Date(time * 1_000);
  return `${WEEKDAYS[date.getUTCDay()]} ${date.getUTCDate()} ${monthYear(time)}`;
}

/** Nov 2026 */
function monthYear(time) {
  const date = new Date(time * 1_000);
  return `${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()}`;
}

/** 10:30 */
export function clock(time) {
  return new Date(time * 1_000).toISOString().slice(11, 16);
}

/** What stands at a tick of the axis; `kind` is the library's: year, month, day, time, seconds. */
export function tick(time, kind) {
  const date = new Date(time * 1_000);
  return [
    () => String(date.getUTCFullYear()),
    () => MONTHS[date.getUTCMonth()],
    () => `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`,
    () => clock(time),
    () => clock(time),
  ][kind]();
}

function offset(utcDay) {
  let found = offsets.get(utcDay);
  if (found === undefined) {
    const parts = OFFSET.formatToParts((utcDay * DAY + MIDDAY_UTC) * 1_000);
    const [, sign, hours, minutes] = /GMT([+-])(\d+):(\d+)/.exec(
      parts.find((part) => part.type === "timeZoneName").value,
    );
    found = Number(`${sign}1`) * (Number(hours) * 3_600 + Number(minutes) * 60);
    offsets.set(utcDay, found);
  }
  return found;
}
