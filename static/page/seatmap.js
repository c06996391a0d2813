/**
 * The seat map of some thousand seats: an SVG grid that is drawn once per plan and repainted seat by seat.
 *
 * Owns: the elements of the seats.
 * Invariants: exactly one seat is in the tab order; an element is touched only when its look or its label changed.
 * Never here: the protocol, texts for people (they come in by the hooks).
 *
 * @import { Plan, PlanSeat } from "./layouts.js"
 * @import { SeatLook } from "./glyphs.js"
 * @import { Hooks, SeatFace } from "./planview.js"
 * @typedef {{ element: SVGPathElement, seat: PlanSeat, face?: SeatFace, label?: string }} Cell
 */

import { GLYPH_PITCH, glyphOf } from "./glyphs.js";
import { PlanView } from "./planview.js";

const SVG = "http://www.w3.org/2000/svg";

export class SeatMap extends PlanView {
  /** @type {Map<string, Cell>} */ #cells = new Map();

  /** @param {HTMLElement} host @param {Hooks} hooks */
  constructor(host, hooks) {
    super(host, document.createElementNS(SVG, "svg"), hooks);
    this.root.setAttribute("role", "grid");
    this.root.classList.add("plan");
  }

  /** Draws a plan; all seats are free until `paint`. @param {Plan} plan @param {string} label */
  setPlan(plan, label) {
    this.plan = plan;
    this.#cells.clear();
    this.counts = {};
    this.scale = 1;
    const { x, y, width, height } = plan.box;
    this.root.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
    this.root.setAttribute("aria-label", label);
    this.root.replaceChildren(...this.#scenery(plan), ...plan.rows.map((row) => this.#row(row)));
    this.current = plan.seats[0]?.id;
    this.#cells.get(this.current ?? "")?.element.setAttribute("tabindex", "0");
    this.resize();
  }

  /** Gives seats the face that the hooks say; without a list, all. @param {string[]} [seatIds] */
  paint(seatIds) {
    const cells = seatIds ? seatIds.map((seatId) => this.#cells.get(seatId)) : this.#cells.values();
    for (const cell of cells) if (cell) this.#paint(cell);
  }

  /** @param {string} seatId */
  placeOf(seatId) {
    return this.#cells.get(seatId)?.seat;
  }

  /** @param {PlanSeat} seat */
  take(seat) {
    this.#cells.get(this.current ?? "")?.element.setAttribute("tabindex", "-1");
    const to = this.#cells.get(seat.id)?.element;
    to?.setAttribute("tabindex", "0");
    this.current = seat.id;
    to?.focus({ preventScroll: true });
  }

  /** @param {number} width @param {number} height */
  resized(width, height) {
    this.root.setAttribute("width", width.toFixed(1));
    this.root.setAttribute("height", height.toFixed(1));
  }

  /** @param {Event} event */
  seatIdOf(event) {
    return event.target instanceof SVGElement ? event.target.dataset.seat : undefined;
  }

  /** @param {Cell} cell */
  #paint(cell) {
    const face = this.hooks.describe(cell.seat);
    const label = this.hooks.label(cell.seat, face);
    const { face: before } = cell;
    if (face.counted !== before?.counted) this.count(before?.counted, face.counted);
    if (face.look !== before?.look) this.#setLook(cell, face.look);
    if (label !== cell.label) cell.element.setAttribute("aria-label", label);
    if (face.live !== before?.live) cell.element.setAttribute("aria-disabled", String(!face.live));
    Object.assign(cell, { face, label });
  }

  /** @param {Plan} plan */
  #scenery(plan) {
    const shapes = plan.shapes.map(({ d, label, x, y }) => {
      const name = make("text", { x, y, class: `stage-name ${plan.name}` });
      name.textContent = label ?? this.hooks.stageLabel();
      this.#size(name, plan, 1);
      return [make("path", { d, class: "stage" }), name];
    });
    const labels = plan.labels.map(({ x, y, text, kind }) => {
      const label = make("text", { x, y, class: `${kind}-label` });
      label.textContent = text;
      this.#size(label, plan, kind === "row" ? 0.5 : 0.75);
      return label;
    });
    const group = make("g", { "aria-hidden": "true" });
    group.append(...shapes.flat(), ...labels);
    return [group];
  }

  /** Halls have units of their own: their texts are as large as their seats. @param {SVGElement} text @param {Plan} plan @param {number} part */
  #size(text, { name, pitch }, part) {
    if (name === "hall") text.style.fontSize = `${(pitch * part).toFixed(2)}px`;
  }

  /** @param {PlanSeat[]} seats */
  #row(seats) {
    const row = make("g", { role: "row", "aria-label": this.hooks.rowLabel(seats[0]) });
    for (const seat of seats) {
      const element = make("path", { role: "gridcell", tabindex: "-1", "data-seat": seat.id });
      this.#cells.set(seat.id, { element, seat });
      row.append(element);
    }
    return row;
  }

  /** @param {Cell} cell @param {SeatLook} look */
  #setLook({ element, seat }, look) {
    const turn = look === "free" ? ` rotate(${seat.angle.toFixed(1)})` : "";
    const scale = (this.plan?.pitch ?? GLYPH_PITCH) / GLYPH_PITCH;
    element.setAttribute("transform", `translate(${seat.x.toFixed(1)} ${seat.y.toFixed(1)}) scale(${scale})${turn}`);
    element.setAttribute("d", glyphOf(look, seat));
    element.setAttribute("class", `seat ${look}`);
    element.setAttribute("aria-selected", String(look === "mine" || look === "checkout"));
  }
}

/**
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag @param {Record<string, string | number>} attributes @returns {SVGElementTagNameMap[K]}
 */
function make(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}
