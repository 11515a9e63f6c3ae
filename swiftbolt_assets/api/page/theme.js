/**
 * Dark or light: as the machine prefers, unless the person chose; and the canvas' colours, which
 * come from the same style sheet.
 *
 * What belongs here: the choice and reading colours. What does not: the colours (page.css).
 */

import { find } from "./dom.js";

const KEPT = "swiftbolt-theme";
const PREFERS_DARK = matchMedia("(prefers-color-scheme: dark)");

/** Apply the kept choice; call `onChange` now and at every change. */
export function followTheme(onChange) {
  const apply = () => {
    const chosen = localStorage.getItem(KEPT);
    const theme = chosen ?? (PREFERS_DARK.matches ? "dark" : "light");
    document.documentElement.dataset.theme = theme;
    find("theme").setAttribute("aria-pressed", String(theme === "dark"));
    onChange();
  };
  PREFERS_DARK.addEventListener("change", apply);
  find("theme").addEventListener("click", () => {
    const isDark = document.documentElement.dataset.theme === "dark";
    localStorage.setItem(KEPT, isDark ? "light" : "dark");
    apply();
  });
  apply();
}

/** The colours of the canvas in the present theme. */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  const family = style.fontFamily;
  const kinds = ["running", "waiting", "retrying", "failed", "absent", "today"];
  const bands = Object.fromEntries(kinds.map((kind) => [kind, read(`band-${kind}`)]));
  const strip = Object.fromEntries(
    [...kinds, "stored", "empty", "none", "view"].map((kind) => [kind, read(`strip-${kind}`)]),
  );
  return {
    family,
    surface: read("surface"),
    muted: read("muted"),
    accent: read("accent"),
    grid: read("grid"),
    crosshair: read("crosshair"),
    label: read("label"),
    up: read("up"),
    down: read("down"),
    upToday: read("up-today"),
    downToday: read("down-today"),
    upVolume: read("up-volume"),
    downVolume: read("down-volume"),
    formingVolume: read("forming-volume"),
    bands: { ...bands, text: read("band-text"), todayText: read("muted"), font: `12px ${family}` },
    strip,
  };
}
