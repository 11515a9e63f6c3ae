/**
 * The candles: the chart library, told what to draw and asked what a person looks at.
 *
 * What belongs here: everything that knows the library. What does not: what the points are
 * (timeline.js), what the legend says (legend.js).
 */

import {
  CandlestickSeries,
  createChart,
  createSeriesMarkers,
  CrosshairMode,
  HistogramSeries,
  LineStyle,
} from "./vendor/lightweight-charts.js";
import { Bands } from "./bands.js";
import { FORMING, HISTORY, TODAY } from "./bars.js";
import { clock, dateTime, longDate, midnight, tick } from "./newyork.js";
import { digits, price } from "./numbers.js";
import { isIntraday } from "./timeframes.js";
import { indexAt, layOut } from "./timeline.js";

/** Places left free right of the newest bar. */
const RIGHT_GAP = 4;
const NARROWEST = 0.04;
/** What the edge's words get of the width when all is shown. */
const EDGE_SHARE = 0.25;
/** Pixels between two of the axis' words that do not touch. */
const AXIS_LABEL = 16;
/** Pixels from bar to bar at first. */
const FIRST_SPACING = 7;

export class Chart {
  #chart;
  #candles;
  #volume;
  #markers;
  #priceLine;
  #bands = new Bands();
  #palette = null;
  #timeframe = "h1";
  #layout = { points: [], bands: [], edge: null };
  #splits = [];
  /** Index that the pointer or the keyboard is at; null for none. */
  #at = null;
  #isStepping = false;
  /** Of the prices on the axis. */
  #decimals = 2;

  /**
   * @param on `look(what)`: what `current` returns, when that changed; `move(view)`: the
   *   chart shows `{from, to}` in chart time, or null
   */
  constructor(element, on) {
    this.#chart = createChart(element, {
      autoSize: true,
      crosshair: { mode: CrosshairMode.Normal },
      handleScroll: { vertTouchDrag: false }, // the page scrolls with the same finger
      localization: {
        timeFormatter: (time) => this.#crosshairTime(time),
        tickmarksPriceFormatter: this.#axisWords(),
      },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.12, bottom: 0.24 } },
      timeScale: {
        borderVisible: false,
        rightOffset: RIGHT_GAP,
        minBarSpacing: NARROWEST,
        enableConflation: true,
        secondsVisible: false,
        tickMarkFormatter: tick,
      },
    });
    this.#candles = this.#chart.addSeries(CandlestickSeries, {
      // Today's bars are hollow; the library would draw line and label in that colour.
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.#priceLine = this.#candles.createPriceLine({
      price: 0,
      lineStyle: LineStyle.Dotted,
      lineWidth: 1,
      lineVisible: false,
      axisLabelVisible: false,
    });
    this.#volume = this.#chart.addSeries(HistogramSeries, {
      priceFormat: { type: "volume" },
      priceScaleId: "volume",
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.#chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.#markers = createSeriesMarkers(this.#candles, []);
    this.#candles.attachPrimitive(this.#bands);
    this.#chart.subscribeCrosshairMove(({ logical, point, sourceEvent }) => {
      if (this.#isStepping && !sourceEvent) return; // the keyboard moved it, and told already
      this.#isStepping = false;
      this.#at = point && logical !== undefined ? Math.round(logical) : null;
      on.look(this.current());
    });
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange(() => on.move(this.#view()));
  }

  get points() {
    return this.#layout.points;
  }

  /** Begin with another symbol or timeframe, at the newest bar. */
  clear(timeframe) {
    this.#timeframe = timeframe;
    this.#layout = { points: [], bands: [], edge: null };
    this.#splits = [];
    this.#leave();
    this.#candles.setData([]);
    this.#volume.setData([]);
    this.#markers.setMarkers([]);
    this.#bands.show([], null);
    this.#markPrice();
    this.#chart.timeScale().applyOptions({ timeVisible: isIntraday(timeframe) });
    this.#chart.timeScale().resetTimeScale();
    this.#chart.priceScale("right").applyOptions({ autoScale: true });
  }

  /** Show bars and coverage; what a person looks at stays where it is. */
  show(bars, coverage) {
    const before = this.#layout.points;
    const after = layOut(bars, coverage, this.#timeframe);
    this.#layout = after;
    if (this.#at !== null && before[this.#at]) this.#at = indexAt(after.points, before[this.#at].time);
    this.#splits = coverage.splits;
    const changed = changedFrom(before, after.points);
    if (changed !== null && after.points.length - changed <= 2) {
      after.points.slice(changed).forEach((point) => this.#update(point));
    } else {
      this.#keepingView(before, after.points, () => this.#setAll());
    }
    this.#bands.show(after.bands, after.edge);
    this.#mark();
    this.#markPrice();
  }

  /** Use the colours of the theme. */
  paint(palette) {
    this.#palette = palette;
    this.#chart.applyOptions({
      layout: {
        background: { color: "transparent" },
        textColor: palette.muted,
        fontFamily: palette.family,
        fontSize: 12,
      },
      grid: { vertLines: { color: palette.grid }, horzLines: { color: palette.grid } },
      crosshair: {
        vertLine: { color: palette.crosshair, labelBackgroundColor: palette.label },
        horzLine: { color: palette.crosshair, labelBackgroundColor: palette.label },
      },
    });
    this.#candles.applyOptions({
      upColor: palette.up,
      borderUpColor: palette.up,
      wickUpColor: palette.up,
      downColor: palette.down,
      borderDownColor: palette.down,
      wickDownColor: palette.down,
    });
    this.#bands.paint(palette.bands);
    this.#setAll();
    this.#mark();
    this.#markPrice();
  }

  /** The point at a place of the axis: `{point}`, or `{edge}` left of the first. */
  look(logical) {
    if (logical < 0) return this.#layout.edge ? { edge: this.#layout.edge } : null;
    const point = this.points[logical];
    return point ? { point, previous: this.#barBefore(logical) } : null;
  }

  /** What is pointed at; the newest bar while nothing is. */
  current() {
    const pointed = this.#at === null ? null : this.look(this.#at);
    if (pointed) return pointed;
    const index = this.points.findLastIndex(({ bar }) => bar);
    return index < 0 ? null : this.look(index);
  }

  /** The last bar of the session (of the period, for days and weeks) before a bar's. */
  closeBefore(bar) {
    const from = isIntraday(this.#timeframe) ? midnight(bar.time) : bar.time;
    return this.#barBefore(indexAt(this.points, from));
  }

  /** Move the crosshair by bars, for the keyboard; returns what is there. */
  step(by) {
    const last = this.points.length - 1;
    if (last < 0) return null;
    const next = this.#at === null ? last : Math.min(last, Math.max(0, this.#at + by));
    this.#at = next;
    this.#isStepping = true;
    this.#reveal(next);
    // The library moves at the next frame, and places the crosshair by what it shows.
    requestAnimationFrame(() => {
      if (!this.#isStepping || this.#at !== next || !this.points[next]) return;
      const { time, bar } = this.points[next];
      const height = bar?.close ?? this.#barBefore(next)?.close ?? 0;
      this.#chart.setCrosshairPosition(height, time, this.#candles);
    });
    return this.current();
  }

  zoom(factor) {
    const scale = this.#chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (!range) return;
    scale.setVisibleLogicalRange({ from: range.to - (range.to - range.from) * factor, to: range.to });
  }

  /** Show the whole window. */
  showAll() {
    const count = this.points.length;
    if (!count) return;
    // Left of the first bar stands why there is none before it.
    const from = this.#layout.edge ? -count * EDGE_SHARE : -1;
    this.#chart.timeScale().setVisibleLogicalRange({ from, to: count + RIGHT_GAP });
  }

  /** Go to the newest bar. */
  showNewest() {
    this.#leave();
    this.#chart.timeScale().scrollToPosition(RIGHT_GAP, false);
  }

  /** Bring a date into the middle. */
  showDay(date) {
    const range = this.#chart.timeScale().getVisibleLogicalRange();
    if (!range || !this.points.length) return;
    const middle = indexAt(this.points, dateTime(date));
    const half = (range.to - range.from) / 2;
    this.#chart.timeScale().setVisibleLogicalRange({ from: middle - half, to: middle + half });
  }

  #leave() {
    this.#at = null;
    this.#isStepping = false;
    this.#chart.clearCrosshairPosition();
  }

  #view() {
    const range = this.#chart.timeScale().getVisibleLogicalRange();
    if (!range || !this.points.length) return null;
    const last = this.points.length - 1;
    const [from, to] = [range.from, range.to].map((at) => Math.min(last, Math.max(0, Math.round(at))));
    return { from: this.points[from].time, to: this.points[to].time };
  }

  #crosshairTime(time) {
    return isIntraday(this.#timeframe) ? `${longDate(time)} ${clock(time)}` : longDate(time);
  }

  #keepingView(before, after, change) {
    const scale = this.#chart.timeScale();
    // Without a bar the library shows places near the first one, whatever it is told.
    const range = before.some(({ bar }) => bar) ? scale.getVisibleLogicalRange() : null;
    change();
    if (!after.length) return;
    const width = range ? range.to - range.from : scale.width() / FIRST_SPACING;
    const at = range ? Math.floor(range.to) : 0;
    // Who looks at the newest place goes on looking at it.
    const to = range && at < before.length - 1
      ? range.to + indexAt(after, before[Math.max(at, 0)].time) - Math.max(at, 0)
      : after.length - 1 + (range ? range.to - (before.length - 1) : RIGHT_GAP);
    scale.setVisibleLogicalRange({ from: to - width, to });
  }

  #setAll() {
    if (!this.#palette) return;
    this.#candles.setData(this.points.map((point) => this.#candle(point)));
    this.#volume.setData(this.points.map((point) => this.#column(point)));
    this.#decimals = digits(this.points.findLast(({ bar }) => bar)?.bar.close ?? 100);
    this.#candles.applyOptions({
      priceFormat: {
        type: "custom",
        formatter: (value) => price(value, this.#decimals),
        minMove: 10 ** -this.#decimals,
      },
    });
  }

  #update(point) {
    this.#candles.update(this.#candle(point));
    this.#volume.update(this.#column(point));
  }

  #candle({ time, bar }) {
    if (!bar) return { time };
    const { open, high, low, close } = bar;
    const candle = { time, open, high, low, close };
    if (bar.layer === HISTORY) return candle;
    const rises = close >= open;
    const palette = this.#palette;
    if (bar.layer === TODAY) return { ...candle, color: rises ? palette.upToday : palette.downToday };
    const edge = rises ? palette.up : palette.down;
    return { ...candle, color: palette.surface, borderColor: edge, wickColor: edge };
  }

  #column({ time, bar }) {
    if (!bar) return { time };
    const rises = bar.close >= bar.open;
    const color = rises ? this.#palette.upVolume : this.#palette.downVolume;
    return { time, value: bar.volume, color: bar.layer === FORMING ? this.#palette.formingVolume : color };
  }

  /** Splits stand on the first bar of the day that shows them; one that no price shows is doubted. */
  #mark() {
    const markers = [];
    for (const split of this.#splits) {
      if (split.state === "repeated") continue;
      const index = indexAt(this.points, dateTime(split.effective_date ?? split.execution_date));
      const point = this.points[index];
      if (!point?.bar || index === 0) continue;
      markers.push({
        time: point.time,
        position: "aboveBar",
        shape: "arrowDown",
        color: this.#palette?.accent ?? "#888",
        text: `${split.split_to}:${split.split_from} split${split.state === "doubtful" ? "?" : ""}`,
      });
    }
    this.#markers.setMarkers(markers);
  }

  /** The last price, across the chart and on the axis. */
  #markPrice() {
    const bar = this.points.findLast((point) => point.bar)?.bar;
    this.#priceLine.applyOptions({
      price: bar?.close ?? 0,
      color: this.#palette?.crosshair ?? "#888",
      axisLabelColor: this.#palette?.label ?? "#888",
      lineVisible: Boolean(bar),
      axisLabelVisible: Boolean(bar),
    });
    // The library keeps the axis' words until it is given another way to make them.
    this.#chart.applyOptions({ localization: { tickmarksPriceFormatter: this.#axisWords(bar?.close) } });
  }

  /** How the axis tells its prices: none where the last price's label would cover it. */
  #axisWords(last) {
    return (prices) => {
      const label = last === undefined ? null : this.#candles.priceToCoordinate(last);
      return prices.map((value) => {
        const at = label === null ? null : this.#candles.priceToCoordinate(value);
        return at !== null && Math.abs(at - label) < AXIS_LABEL ? "" : price(value, this.#decimals);
      });
    };
  }

  #reveal(index) {
    const scale = this.#chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (!range || (index >= range.from && index <= range.to)) return;
    const by = index < range.from ? index - range.from - 1 : index - range.to + 1;
    scale.setVisibleLogicalRange({ from: range.from + by, to: range.to + by });
  }

  #barBefore(index) {
    for (let at = index - 1; at >= 0; at -= 1) if (this.points[at].bar) return this.points[at].bar;
    return null;
  }
}

/** Index from which on two layouts differ if only their newest places do; null for more. */
function changedFrom(before, after) {
  if (before.length === 0 || after.length < before.length) return null;
  const last = before.length - 1;
  for (let index = 0; index < last; index += 1) {
    if (before[index].time !== after[index].time || !sameBar(before[index].bar, after[index].bar)) {
      return null;
    }
  }
  return before[last].time === after[last].time ? last : null;
}

function sameBar(one, other) {
  if (one === null || other === null) return one === other;
  return (
    one.open === other.open &&
    one.high === other.high &&
    one.low === other.low &&
    one.close === other.close &&
    one.volume === other.volume &&
    one.layer === other.layer
  );
}
