/**
 * What is drawn behind the candles: ranges that are loading, days without a bar, today, and the
 * left end where nothing is to be had.
 *
 * What belongs here: canvas. What does not: which band lies where (timeline.js).
 */

const PADDING = 8;
const LABEL_HEIGHT = 20;

/** A primitive of the chart library, attached to the candle series. */
export class Bands {
  #chart = null;
  #redraw = null;
  #bands = [];
  #edge = null;
  #colors = null;
  #views = [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.#draw(target) }) }];

  attached({ chart, requestUpdate }) {
    this.#chart = chart;
    this.#redraw = requestUpdate;
  }

  detached() {
    this.#chart = null;
  }

  paneViews() {
    return this.#views;
  }

  show(bands, edge) {
    this.#bands = bands;
    this.#edge = edge;
    this.#redraw?.();
  }

  /** @param colors per kind of band, and `text`, `font` */
  paint(colors) {
    this.#colors = colors;
    this.#redraw?.();
  }

  #draw(target) {
    if (!this.#chart || !this.#colors) return;
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      context.save();
      context.font = this.#colors.font;
      context.textBaseline = "middle";
      for (const band of this.#bands) this.#drawBand(context, mediaSize, band);
      if (this.#edge) this.#drawEdge(context, mediaSize);
      context.restore();
    });
  }

  #drawBand(context, { width, height }, band) {
    const half = this.#spacing() / 2;
    const left = Math.max(0, this.#x(band.from) - half);
    const right = Math.min(width, this.#x(band.to) + half);
    if (right <= left) return;
    context.fillStyle = this.#colors[band.kind];
    context.fillRect(left, 0, Math.max(right - left, 1), height);
    const fits = (label) => context.measureText(label).width + PADDING * 2 <= right - left;
    const label = band.labels.find(fits);
    if (!label) return;
    const isToday = band.kind === "today";
    context.fillStyle = this.#colors[isToday ? "todayText" : "text"];
    context.textAlign = "center";
    context.fillText(label, (left + right) / 2, isToday ? LABEL_HEIGHT / 2 + 4 : height * 0.45);
  }

  #drawEdge(context, { height }) {
    const x = this.#x(0) - this.#spacing() / 2;
    const wide = context.measureText(this.#edge.text).width + PADDING * 2;
    if (x < wide) return;
    context.fillStyle = this.#colors.text;
    context.textAlign = "right";
    context.fillText(this.#edge.text, x - PADDING, height * 0.45);
    context.fillRect(x - 1, height * 0.45 - LABEL_HEIGHT, 1, LABEL_HEIGHT * 2);
  }

  #x(index) {
    return this.#chart.timeScale().logicalToCoordinate(index) ?? 0;
  }

  #spacing() {
    return this.#chart.timeScale().options().barSpacing;
  }
}
