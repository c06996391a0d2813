/**
 * The seat map of a stadium: a canvas that is drawn anew when the view moves, and seat by seat when seats change.
 *
 * Owns: the canvas, an index of seats by place, the elements of the one row that has the focus.
 * Invariants:
 *   - A change of a few seats costs a few rectangles, whatever the number of seats.
 *   - The row of the current seat is in the document, each seat at its place: a keyboard and a screen reader find the
 *     same grid, row and cells as in the small map, one row at a time.
 * Never here: the protocol, texts for people (they come in by the hooks).
 *
 * @import { Plan, PlanSeat } from "./layouts.js"
 * @import { SeatLook } from "./glyphs.js"
 * @import { Hooks } from "./planview.js"
 */

import { GLYPH_PITCH, glyphOf, LOOKS } from "./glyphs.js";
import { PlanView } from "./planview.js";

/** Below so many pixels from seat to seat a seat is a square: a shape could not be told. */
const SHAPE_PITCH_PX = 9;
/** The square of a seat and the box of its shape, as parts of the pitch. */
const SQUARE = 0.72;
const SHAPE = 22 / 24;
/** Labels of rows are read from so many pixels on. */
const ROW_LABEL_PX = 14;
/** Seats lie in squares of so many pitches, to find those in sight. */
const BUCKET_PITCHES = 8;

export class CanvasMap extends PlanView {
  #canvas = document.createElement("canvas");
  #row = document.createElement("div");
  #context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d"));
  /** By seat: an index of `LOOKS`. */
  #looks = new Uint8Array(0);
  /** @type {(string | undefined)[]} */ #counted = [];
  /** @type {Map<string, number>} */ #indexes = new Map();
  /** @type {Map<number, number[]>} */ #buckets = new Map();
  /** @type {string[]} */ #colours = [];
  /** The same as pixels. @type {number[]} */ #pixels = [];
  /** Where all squares are drawn at once: fifty thousand calls would take longer than a frame. @type {ImageData | undefined} */
  #image;
  /** Shapes of this size, by look. @type {Map<number, HTMLCanvasElement>} */ #sprites = new Map();
  /** @type {PlanSeat[]} */ #rowSeats = [];
  /** @type {Map<PlanSeat, number>} */ #rowOf = new Map();
  /** Pixels of the canvas per unit of the plan, and where the canvas begins, in such pixels. */
  #unit = 1;
  #origin = { x: 0, y: 0 };
  #frame = 0;
  #stop = new AbortController();

  /** @param {HTMLElement} host @param {Hooks} hooks */
  constructor(host, hooks) {
    super(host, document.createElement("div"), hooks);
    this.root.setAttribute("role", "grid");
    this.root.classList.add("plan", "canvas-plan");
    this.#canvas.setAttribute("aria-hidden", "true");
    this.#row.setAttribute("role", "row");
    this.root.append(this.#canvas, this.#row);
    const { signal } = this.#stop;
    host.addEventListener("pointermove", (event) => hooks.onLook(this.seatIdOf(event) ?? this.current), { signal, passive: true });
    host.addEventListener("scroll", () => this.#redraw(), { signal, passive: true });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#readColours(), { signal });
  }

  destroy() {
    this.#stop.abort();
    cancelAnimationFrame(this.#frame);
    super.destroy();
  }

  /** Draws a plan; all seats are free until `paint`. @param {Plan} plan @param {string} label */
  setPlan(plan, label) {
    this.plan = plan;
    this.scale = 1;
    this.counts = {};
    this.root.setAttribute("aria-label", label);
    this.root.setAttribute("aria-rowcount", String(plan.rows.length));
    this.#looks = new Uint8Array(plan.seats.length);
    this.#counted = new Array(plan.seats.length);
    this.#indexes = new Map(plan.seats.map((seat, index) => [seat.id, index]));
    this.#buckets = bucketsOf(plan);
    this.#rowOf = new Map(plan.rows.flatMap((row, index) => row.map((seat) => [seat, index])));
    this.#rowSeats = [];
    this.#readColours();
    if (plan.seats[0]) this.#showRow(plan.seats[0]);
    this.resize();
  }

  /** Gives seats the face that the hooks say; without a list, all. @param {string[]} [seatIds] */
  paint(seatIds) {
    if (!this.plan) return;
    if (seatIds === undefined) {
      for (let index = 0; index < this.#looks.length; index += 1) this.#face(index);
      this.#redraw();
    } else if (this.#frame === 0) {
      this.#begin();
      for (const seatId of seatIds) this.#repaint(this.#indexes.get(seatId));
    } else for (const seatId of seatIds) this.#face(this.#indexes.get(seatId));
    this.#labelRow(seatIds);
  }

  /** @param {string} seatId */
  placeOf(seatId) {
    const index = this.#indexes.get(seatId);
    return index === undefined ? undefined : this.plan?.seats[index];
  }

  /** @param {PlanSeat} seat */
  take(seat) {
    this.#showRow(seat);
    /** @type {HTMLElement | null} */ (this.#row.querySelector('[tabindex="0"]'))?.focus({ preventScroll: true });
  }

  /** @param {number} width @param {number} height */
  resized(width, height) {
    const { style } = /** @type {HTMLElement} */ (this.root);
    style.width = `${width.toFixed(1)}px`;
    style.height = `${height.toFixed(1)}px`;
    this.#sprites.clear();
    this.#placeRow();
    this.#redraw();
  }

  /** @param {Event} event */
  seatIdOf(event) {
    if (event.target instanceof HTMLElement && event.target.dataset.seat) return event.target.dataset.seat;
    return event instanceof PointerEvent ? this.nearest(this.toPlan(event.clientX, event.clientY)) : undefined;
  }

  /** @param {{ x: number, y: number }} point */
  nearest(point) {
    const { plan } = this;
    if (!plan) return undefined;
    let [found, least] = [/** @type {string | undefined} */ (undefined), plan.pitch * 0.8];
    const reach = { left: point.x - least, right: point.x + least, top: point.y - least, bottom: point.y + least };
    this.#each(reach, (index) => {
      const seat = plan.seats[index];
      const apart = Math.hypot(seat.x - point.x, seat.y - point.y);
      if (apart < least) [found, least] = [seat.id, apart];
    });
    return found;
  }

  /** Asks for the face of a seat; whether it looks different now. @param {number | undefined} index */
  #face(index) {
    const seat = index === undefined ? undefined : this.plan?.seats[index];
    if (index === undefined || !seat) return false;
    const { look, counted } = this.hooks.describe(seat);
    if (counted !== this.#counted[index]) this.count(this.#counted[index], counted);
    this.#counted[index] = counted;
    const number = LOOKS.indexOf(look);
    if (number === this.#looks[index]) return false;
    this.#looks[index] = number;
    return true;
  }

  /** @param {number | undefined} index */
  #repaint(index) {
    if (index === undefined || !this.#face(index) || !this.plan) return;
    const side = this.#side(this.pitchPx < SHAPE_PITCH_PX ? SQUARE : SHAPE);
    const [left, top] = this.#corner(index, side);
    if (this.pitchPx < SHAPE_PITCH_PX) {
      this.#context.fillStyle = this.#colours[this.#colourOf(index)];
      return this.#context.fillRect(left, top, side, side);
    }
    this.#context.clearRect(left, top, side, side);
    this.#context.drawImage(this.#sprite(index, side), left, top);
  }

  /** Draws all with the next frame. */
  #redraw() {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const { plan, host } = this;
    if (!plan) return;
    const ratio = globalThis.devicePixelRatio || 1;
    // The canvas covers what of the plan the box can show, and stays there while the plan scrolls below it.
    const wide = Math.min(host.clientWidth, Math.ceil(plan.box.width * this.unit));
    const high = Math.min(host.clientHeight, Math.ceil(plan.box.height * this.unit));
    const [width, height] = [Math.round(wide * ratio), Math.round(high * ratio)];
    if (this.#canvas.width !== width || this.#canvas.height !== height) Object.assign(this.#canvas, { width, height });
    Object.assign(this.#canvas.style, { width: `${wide}px`, height: `${high}px` });
    this.#context.clearRect(0, 0, width, height);
    const sight = this.#begin();
    if (this.pitchPx < SHAPE_PITCH_PX) this.#squares(sight);
    this.#context.setTransform(this.#unit, 0, 0, this.#unit, -this.#origin.x, -this.#origin.y);
    this.#scenery(plan);
    this.#context.setTransform(1, 0, 0, 1, 0, 0);
    if (this.pitchPx < SHAPE_PITCH_PX) return;
    const side = this.#side(SHAPE);
    this.#each(sight, (index) => {
      const [left, top] = this.#corner(index, side);
      this.#context.drawImage(this.#sprite(index, side), left, top);
    });
  }

  /** Finds where the canvas lies on the plan, and says what of it is in sight. */
  #begin() {
    const { host, unit } = this;
    const box = this.plan?.box ?? { x: 0, y: 0 };
    const [canvas, root] = [this.#canvas.getBoundingClientRect(), this.root.getBoundingClientRect()];
    const [left, top] = [box.x + (canvas.left - root.left) / unit, box.y + (canvas.top - root.top) / unit];
    this.#unit = unit * (globalThis.devicePixelRatio || 1);
    this.#origin = { x: left * this.#unit, y: top * this.#unit };
    return { left, top, right: left + host.clientWidth / unit, bottom: top + host.clientHeight / unit };
  }

  /** The side of what is drawn of a seat, in pixels of the canvas. @param {number} part  Of the pitch. */
  #side(part) {
    return Math.max(1, Math.round((this.plan?.pitch ?? 1) * part * this.#unit));
  }

  /** Where it begins: on whole pixels, so that what was drawn is met again. @param {number} index @param {number} side */
  #corner(index, side) {
    const { x, y } = /** @type {Plan} */ (this.plan).seats[index];
    return [Math.round(x * this.#unit - this.#origin.x - side / 2), Math.round(y * this.#unit - this.#origin.y - side / 2)];
  }

  /** Draws the squares in sight. @param {{ left: number, right: number, top: number, bottom: number }} sight */
  #squares(sight) {
    const { width, height } = this.#canvas;
    if (width === 0 || height === 0) return;
    if (this.#image?.width !== width || this.#image.height !== height) this.#image = new ImageData(width, height);
    const pixels = new Uint32Array(this.#image.data.buffer).fill(0);
    const side = this.#side(SQUARE);
    this.#each(sight, (index) => {
      const [left, top] = this.#corner(index, side);
      const colour = this.#pixels[this.#colourOf(index)];
      const [from, to] = [Math.max(left, 0), Math.min(left + side, width)];
      for (let line = Math.max(top, 0); line < Math.min(top + side, height); line += 1) {
        if (from < to) pixels.fill(colour, line * width + from, line * width + to);
      }
    });
    this.#context.putImageData(this.#image, 0, 0);
  }

  /** @param {number} index */
  #colourOf(index) {
    const look = this.#looks[index];
    return look === 0 && this.plan?.seats[index].accessible ? LOOKS.length : look;
  }

  /** The shape of a seat, drawn once for all that look like it. @param {number} index @param {number} side */
  #sprite(index, side) {
    const key = this.#colourOf(index);
    let sprite = this.#sprites.get(key);
    if (!sprite) {
      sprite = Object.assign(document.createElement("canvas"), { width: side, height: side });
      const context = /** @type {CanvasRenderingContext2D} */ (sprite.getContext("2d"));
      context.setTransform(side / (SHAPE * GLYPH_PITCH), 0, 0, side / (SHAPE * GLYPH_PITCH), side / 2, side / 2);
      context.fillStyle = this.#colours[key];
      context.fill(new Path2D(glyphOf(LOOKS[this.#looks[index]], /** @type {Plan} */ (this.plan).seats[index])), "evenodd");
      this.#sprites.set(key, sprite);
    }
    return sprite;
  }

  /** @param {Plan} plan */
  #scenery({ shapes, labels, pitch }) {
    const context = this.#context;
    const style = getComputedStyle(this.host);
    Object.assign(context, { textAlign: "center", textBaseline: "middle" });
    for (const { d, label, x, y } of shapes) {
      context.fillStyle = style.getPropertyValue("--stage");
      context.fill(new Path2D(d));
      context.fillStyle = style.getPropertyValue("--stage-ink");
      context.font = `600 ${pitch * 1.6}px system-ui, sans-serif`;
      context.fillText(label ?? this.hooks.stageLabel(), x, y);
    }
    context.fillStyle = style.getPropertyValue("--ink");
    for (const { x, y, text, kind, centre } of labels) {
      if (kind === "row" && this.pitchPx < ROW_LABEL_PX) continue;
      // Names of blocks stay readable however far away they are: there they stand on their seats.
      const isFar = centre !== undefined && this.pitchPx < SHAPE_PITCH_PX;
      const size = kind === "row" ? pitch * 0.6 : isFar ? Math.max(pitch * 1.5, 13 / this.unit) : pitch;
      context.font = `600 ${size}px system-ui, sans-serif`;
      context.textBaseline = kind === "row" || isFar ? "middle" : "bottom";
      if (isFar) {
        Object.assign(context, { lineWidth: size * 0.35, lineJoin: "round", strokeStyle: style.getPropertyValue("--sunk") });
        context.strokeText(text, centre.x, centre.y);
      }
      context.fillText(text, isFar ? centre.x : x, isFar ? centre.y : y);
    }
  }

  /** @param {{ left: number, right: number, top: number, bottom: number }} sight @param {(index: number) => void} act */
  #each(sight, act) {
    const size = (this.plan?.pitch ?? 1) * BUCKET_PITCHES;
    const [fromX, toX] = [Math.floor(sight.left / size), Math.floor(sight.right / size)];
    const [fromY, toY] = [Math.floor(sight.top / size), Math.floor(sight.bottom / size)];
    for (let x = fromX; x <= toX; x += 1) {
      for (let y = fromY; y <= toY; y += 1) for (const index of this.#buckets.get(keyOf(x, y)) ?? []) act(index);
    }
  }

  #readColours() {
    const style = getComputedStyle(this.host);
    this.#colours = [...LOOKS, "accessible"].map((look) => style.getPropertyValue(`--${look}`).trim());
    this.#pixels = this.#colours.map((colour) => this.#pixelOf(colour));
    this.#sprites.clear();
    this.#redraw();
  }

  /** A colour as the bytes of a picture. @param {string} colour */
  #pixelOf(colour) {
    this.#context.fillStyle = colour;
    const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(String(this.#context.fillStyle).slice(at, at + 2), 16));
    const bytes = new Uint8Array([red, green, blue, 255]);
    return new Uint32Array(bytes.buffer)[0];
  }

  /** Puts the row of a seat into the document. @param {PlanSeat} seat */
  #showRow(seat) {
    const number = this.#rowOf.get(seat) ?? 0;
    const seats = this.plan?.rows[number] ?? [];
    if (seats !== this.#rowSeats) {
      this.#rowSeats = seats;
      this.#row.setAttribute("aria-label", this.hooks.rowLabel(seat));
      this.#row.setAttribute("aria-rowindex", String(number + 1));
      this.#row.replaceChildren(...seats.map(cellOf));
      this.#placeRow();
      this.#labelRow();
    }
    this.#row.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    this.#row.children[seats.indexOf(seat)]?.setAttribute("tabindex", "0");
    this.current = seat.id;
  }

  #placeRow() {
    const box = this.plan?.box ?? { x: 0, y: 0 };
    const side = this.pitchPx * 0.9;
    this.#rowSeats.forEach(({ x, y }, at) => {
      const { style } = /** @type {HTMLElement} */ (this.#row.children[at]);
      style.left = `${((x - box.x) * this.unit - side / 2).toFixed(1)}px`;
      style.top = `${((y - box.y) * this.unit - side / 2).toFixed(1)}px`;
      style.width = style.height = `${side.toFixed(1)}px`;
    });
  }

  /** @param {string[]} [seatIds] */
  #labelRow(seatIds) {
    const changed = seatIds && new Set(seatIds);
    this.#rowSeats.forEach((seat, at) => {
      if (changed && !changed.has(seat.id)) return;
      const face = this.hooks.describe(seat);
      const cell = this.#row.children[at];
      cell.className = `seat ${face.look}`;
      cell.setAttribute("aria-label", this.hooks.label(seat, face));
      cell.setAttribute("aria-disabled", String(!face.live));
      cell.setAttribute("aria-selected", String(face.look === "mine" || face.look === "checkout"));
    });
  }
}

/** @param {PlanSeat} seat */
function cellOf(seat) {
  const cell = document.createElement("div");
  cell.setAttribute("role", "gridcell");
  cell.tabIndex = -1;
  cell.dataset.seat = seat.id;
  return cell;
}

/** @param {Plan} plan */
function bucketsOf({ seats, pitch }) {
  const size = pitch * BUCKET_PITCHES;
  /** @type {Map<number, number[]>} */ const buckets = new Map();
  seats.forEach(({ x, y }, index) => {
    const key = keyOf(Math.floor(x / size), Math.floor(y / size));
    const bucket = buckets.get(key);
    if (bucket) bucket.push(index);
    else buckets.set(key, [index]);
  });
  return buckets;
}

/** @param {number} x @param {number} y */
function keyOf(x, y) {
  return x * 65_536 + y;
}
