/**
 * The seat map: an SVG grid that is drawn once per plan and repainted seat by seat.
 *
 * Owns: the elements of the seats, zoom and scrolling, the roving focus.
 * Invariants: exactly one seat is in the tab order; an element is touched only when its look or its label changed.
 * Never here: the protocol, texts for people (they come in by `describe`).
 *
 * @import { Plan, PlanSeat } from "./layouts.js"
 * @import { SeatLook } from "./glyphs.js"
 * @typedef {{ look: SeatLook, label: string, live: boolean }} SeatFace  `live`: a click does something.
 */

import { GLYPHS } from "./glyphs.js";

const SVG = "http://www.w3.org/2000/svg";
/** The shapes are drawn for seats this far apart. */
const GLYPH_PITCH = 24;
const ZOOM_MAX = 8;
const ZOOM_STEP = 1.5;
/** A finger needs seats of at least this many pixels; a tap on smaller ones zooms in first. */
const TOUCH_PITCH_PX = 22;
const TOUCH_ZOOM_PITCH_PX = 36;

export class SeatMap {
  #zoom = 1;
  /** @type {Plan | undefined} */ #plan;
  /** @type {Map<string, { element: SVGPathElement, seat: PlanSeat, look?: SeatLook, label?: string, live?: boolean }>} */
  #cells = new Map();
  /** @type {string | undefined} */ #current;
  #svg = document.createElementNS(SVG, "svg");
  #touch = false;
  /** @type {{ distance: number, zoom: number } | undefined} */ #pinch;

  /**
   * @param {HTMLElement} host  A scrolling box.
   * @param {{ onToggle: (seatId: string) => void, onLook: (seatId: string | undefined) => void, onZoom: () => void,
   *   rowLabel: (seat: PlanSeat) => string, stageLabel: () => string }} hooks
   */
  constructor(host, hooks) {
    this.host = host;
    this.hooks = hooks;
    this.#svg.setAttribute("role", "grid");
    this.#svg.classList.add("plan");
    host.append(this.#svg);
    this.#listen();
    new ResizeObserver(() => this.#resize()).observe(host);
  }

  /** Draws a plan; all seats are free until `paint`. @param {Plan} plan @param {string} label */
  setPlan(plan, label) {
    this.#plan = plan;
    this.#cells.clear();
    this.#zoom = 1;
    const { x, y, width, height } = plan.box;
    this.#svg.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
    this.#svg.setAttribute("aria-label", label);
    this.#svg.replaceChildren(...this.#scenery(plan), ...plan.rows.map((row) => this.#row(row, plan.pitch)));
    this.#current = plan.seats[0].id;
    this.#cells.get(this.#current)?.element.setAttribute("tabindex", "0");
    this.#resize();
  }

  /** Gives every seat the face that `describe` says. @param {(seat: PlanSeat) => SeatFace} describe */
  paint(describe) {
    for (const cell of this.#cells.values()) {
      const { look, label, live } = describe(cell.seat);
      if (look !== cell.look) this.#setLook(cell, look);
      if (label !== cell.label) cell.element.setAttribute("aria-label", label);
      if (live !== cell.live) cell.element.setAttribute("aria-disabled", String(!live));
      Object.assign(cell, { look, label, live });
    }
  }

  /** Where a seat is on this plan. @param {string} seatId */
  placeOf(seatId) {
    return this.#cells.get(seatId)?.seat;
  }

  /** Puts the focus on a seat and shows it. @param {string} seatId */
  focus(seatId) {
    const [from, to] = [this.#cells.get(this.#current ?? ""), this.#cells.get(seatId)];
    if (!to) return;
    from?.element.setAttribute("tabindex", "-1");
    to.element.setAttribute("tabindex", "0");
    this.#current = seatId;
    to.element.focus({ preventScroll: true });
    this.#show(to.seat);
  }

  /** @param {number} factor @param {{ x: number, y: number }} [around]  A point of the plan that stays in the middle. */
  zoom(factor, around) {
    const before = this.#centre();
    this.#zoom = Math.min(ZOOM_MAX, Math.max(1, this.#zoom * factor));
    this.#resize();
    this.#centreOn(around ?? before);
    this.hooks.onZoom();
  }

  /** Shows the whole plan. */
  fit() {
    this.zoom(0);
  }

  get zoomedIn() {
    return this.#zoom > 1;
  }

  /** @param {Plan} plan */
  #scenery(plan) {
    const stage = make("path", { d: plan.stage, class: "stage" });
    const name = make("text", { x: plan.stageAt.x, y: plan.stageAt.y, class: `stage-name ${plan.name}` });
    name.textContent = this.hooks.stageLabel();
    const labels = plan.labels.map(({ x, y, text, kind }) => {
      const label = make("text", { x, y, class: `${kind}-label` });
      label.textContent = text;
      return label;
    });
    const group = make("g", { "aria-hidden": "true" });
    group.append(stage, name, ...labels);
    return [group];
  }

  /** @param {PlanSeat[]} seats @param {number} pitch */
  #row(seats, pitch) {
    const row = make("g", { role: "row", "aria-label": this.hooks.rowLabel(seats[0]) });
    for (const seat of seats) {
      const element = make("path", { role: "gridcell", tabindex: "-1", "data-seat": seat.id });
      element.dataset.scale = String(pitch / GLYPH_PITCH);
      const cell = { element, seat };
      this.#cells.set(seat.id, cell);
      row.append(element);
    }
    return row;
  }

  /** @param {{ element: SVGPathElement, seat: PlanSeat }} cell @param {SeatLook} look */
  #setLook({ element, seat }, look) {
    const turn = look === "free" ? ` rotate(${seat.angle.toFixed(1)})` : "";
    const scale = element.dataset.scale;
    element.setAttribute("transform", `translate(${seat.x.toFixed(1)} ${seat.y.toFixed(1)}) scale(${scale})${turn}`);
    element.setAttribute("d", GLYPHS[look]);
    element.setAttribute("class", `seat ${look}`);
    element.setAttribute("aria-selected", String(look === "mine"));
  }

  #listen() {
    const { host, hooks } = this;
    host.addEventListener("pointerdown", (event) => (this.#touch = event.pointerType === "touch"));
    host.addEventListener("keydown", () => (this.#touch = false));
    host.addEventListener("click", (event) => this.#clicked(event));
    host.addEventListener("keydown", (event) => this.#key(event));
    host.addEventListener("focusin", (event) => hooks.onLook(seatIdOf(event)));
    host.addEventListener("pointerover", (event) => hooks.onLook(seatIdOf(event) ?? this.#current));
    host.addEventListener("touchstart", (event) => this.#pinchStart(event), { passive: true });
    host.addEventListener("touchmove", (event) => this.#pinchMove(event), { passive: false });
    host.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const point = this.#toPlan(event.clientX, event.clientY);
    const seatId = seatIdOf(event) ?? this.#nearest(point);
    if (this.#touch && this.#pitchPx() < TOUCH_PITCH_PX) {
      this.zoom(TOUCH_ZOOM_PITCH_PX / this.#pitchPx(), point);
    } else if (seatId !== undefined) {
      this.focus(seatId);
      this.hooks.onToggle(seatId);
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.#current === undefined) return;
    const move = MOVES[event.key];
    const cell = this.#cells.get(this.#current);
    if (move && cell && this.#plan) this.focus(move(this.#plan, cell.seat).id);
    else if (event.key === "Enter" || event.key === " ") this.hooks.onToggle(this.#current);
    else if (event.key === "+") this.zoom(ZOOM_STEP, cell?.seat);
    else if (event.key === "-") this.zoom(1 / ZOOM_STEP, cell?.seat);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  /** @param {TouchEvent} event */
  #pinchStart(event) {
    this.#pinch = event.touches.length === 2 ? { distance: spread(event), zoom: this.#zoom } : undefined;
  }

  /** @param {TouchEvent} event */
  #pinchMove(event) {
    if (!this.#pinch || event.touches.length !== 2) return;
    event.preventDefault();
    this.zoom((this.#pinch.zoom * spread(event)) / this.#pinch.distance / this.#zoom);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, this.#toPlan(event.clientX, event.clientY));
  }

  #resize() {
    if (!this.#plan) return;
    const width = this.#fitScale() * this.#zoom * this.#plan.box.width;
    const height = this.#fitScale() * this.#zoom * this.#plan.box.height;
    this.#svg.setAttribute("width", width.toFixed(1));
    this.#svg.setAttribute("height", height.toFixed(1));
  }

  /** Pixels per unit at which the whole plan is seen. */
  #fitScale() {
    const { width, height } = this.#plan?.box ?? { width: 1, height: 1 };
    return Math.min(this.host.clientWidth / width, this.host.clientHeight / height);
  }

  #pitchPx() {
    return (this.#plan?.pitch ?? 0) * this.#fitScale() * this.#zoom;
  }

  /** @param {number} clientX @param {number} clientY */
  #toPlan(clientX, clientY) {
    const rect = this.#svg.getBoundingClientRect();
    const scale = this.#fitScale() * this.#zoom;
    const box = this.#plan?.box ?? { x: 0, y: 0 };
    return { x: box.x + (clientX - rect.left) / scale, y: box.y + (clientY - rect.top) / scale };
  }

  #centre() {
    const rect = this.host.getBoundingClientRect();
    return this.#toPlan(rect.left + rect.width / 2, rect.top + rect.height / 2);
  }

  /** @param {{ x: number, y: number }} point */
  #centreOn({ x, y }) {
    const scale = this.#fitScale() * this.#zoom;
    const box = this.#plan?.box ?? { x: 0, y: 0 };
    this.host.scrollLeft = (x - box.x) * scale - this.host.clientWidth / 2;
    this.host.scrollTop = (y - box.y) * scale - this.host.clientHeight / 2;
  }

  /** Scrolls only when the seat is near an edge or outside. @param {PlanSeat} seat */
  #show(seat) {
    const cell = this.#cells.get(seat.id);
    if (!cell) return;
    const [inner, outer] = [cell.element.getBoundingClientRect(), this.host.getBoundingClientRect()];
    const away =
      inner.left < outer.left + 8 || inner.right > outer.right - 8 || inner.top < outer.top + 8 || inner.bottom > outer.bottom - 8;
    if (away && this.zoomedIn) this.#centreOn(seat);
  }

  /** The seat under a point, with the gaps between seats shared out. @param {{ x: number, y: number }} point */
  #nearest(point) {
    if (!this.#plan) return undefined;
    const near = closest(this.#plan.seats, (seat) => Math.hypot(seat.x - point.x, seat.y - point.y));
    return near && Math.hypot(near.x - point.x, near.y - point.y) < this.#plan.pitch * 0.8 ? near.id : undefined;
  }
}

/** Where the arrow keys lead. @type {Record<string, (plan: Plan, from: PlanSeat) => PlanSeat>} */
const MOVES = {
  ArrowLeft: (plan, from) => neighbour(plan, from, -1, 0),
  ArrowRight: (plan, from) => neighbour(plan, from, 1, 0),
  ArrowUp: (plan, from) => neighbour(plan, from, 0, -1),
  ArrowDown: (plan, from) => neighbour(plan, from, 0, 1),
  Home: (plan, from) => rowOf(plan, from)[0],
  End: (plan, from) => rowOf(plan, from).at(-1) ?? from,
};

/** @param {Plan} plan @param {PlanSeat} seat */
function rowOf(plan, seat) {
  return plan.rows.find((row) => row.includes(seat)) ?? [seat];
}

/**
 * The seat that a person would call the next one in a direction: near, and rather straight ahead than aside. Works for
 * curved rows and round bowls, where "up" is not always the row in front.
 * @param {Plan} plan @param {PlanSeat} from @param {number} dx @param {number} dy @returns {PlanSeat}
 */
export function neighbour(plan, from, dx, dy) {
  const cost = (/** @type {PlanSeat} */ seat) => {
    const [x, y] = [seat.x - from.x, seat.y - from.y];
    const [ahead, aside] = [x * dx + y * dy, Math.abs(x * dy) + Math.abs(y * dx)];
    return ahead > 1 && aside <= ahead * 1.1 ? ahead + 2 * aside : Number.POSITIVE_INFINITY;
  };
  return closest(plan.seats, cost) ?? from;
}

/** @param {PlanSeat[]} seats @param {(seat: PlanSeat) => number} cost */
function closest(seats, cost) {
  let [best, least] = [/** @type {PlanSeat | undefined} */ (undefined), Number.POSITIVE_INFINITY];
  for (const seat of seats) {
    const value = cost(seat);
    if (value < least) [best, least] = [seat, value];
  }
  return best;
}

/** @param {Event} event */
function seatIdOf(event) {
  return event.target instanceof SVGElement ? event.target.dataset.seat : undefined;
}

/** @param {TouchEvent} event */
function spread({ touches }) {
  return Math.hypot(touches[0].clientX - touches[1].clientX, touches[0].clientY - touches[1].clientY);
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
