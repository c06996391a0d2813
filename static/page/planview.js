/**
 * What every view of a plan does: zoom and scrolling, pointer, fingers and keys, the one seat that has the focus.
 *
 * Owns: the zoom, the current seat, the listeners on the box (`destroy` takes them away).
 * Invariants: exactly one seat is current; the box scrolls, so a finger pans without us.
 * Never here: how seats are drawn (`seatmap.js` for some thousands, `canvasmap.js` for more), the protocol, texts for people.
 *
 * @import { Plan, PlanSeat } from "./layouts.js"
 * @import { SeatLook } from "./glyphs.js"
 * @typedef {{ look: SeatLook, counted: string, live: boolean }} SeatFace  `live`: a click does something; `counted`: the
 *   state as which it counts.
 * @typedef {object} Hooks
 * @property {(seatId: string) => void} onToggle
 * @property {(seatId: string | undefined) => void} onLook
 * @property {() => void} onZoom
 * @property {(seat: PlanSeat) => SeatFace} describe
 * @property {(seat: PlanSeat, face: SeatFace) => string} label
 * @property {(seat: PlanSeat) => string} rowLabel
 * @property {() => string} stageLabel
 */

const ZOOM_STEP = 1.5;
/** A finger needs seats of at least this many pixels; a tap on smaller ones zooms in first. */
const TOUCH_PITCH_PX = 22;
const TOUCH_ZOOM_PITCH_PX = 36;
/** Zoomed in as far as can be, seats are at least so far apart. */
const ZOOM_MAX = 8;
const ZOOM_PITCH_PX = 48;

export class PlanView {
  scale = 1;
  /** @type {Plan | undefined} */ plan;
  /** @type {string | undefined} */ current;
  /** How many seats there are of each state. @type {Record<string, number>} */ counts = {};
  #listening = new AbortController();
  #touch = false;
  /** @type {{ distance: number, zoom: number } | undefined} */ #pinch;
  #resizes = new ResizeObserver(() => this.resize());

  /** @param {HTMLElement} host  A scrolling box. @param {HTMLElement | SVGElement} root @param {Hooks} hooks */
  constructor(host, root, hooks) {
    this.host = host;
    this.root = root;
    this.hooks = hooks;
    host.append(root);
    this.#listen();
    this.#resizes.observe(host);
  }

  /** Leaves the box to another view. */
  destroy() {
    this.#listening.abort();
    this.#resizes.disconnect();
    this.root.remove();
  }

  /** @param {number} factor @param {{ x: number, y: number }} [around]  A point of the plan that stays in the middle. */
  zoom(factor, around) {
    const before = this.#centre();
    const most = Math.max(ZOOM_MAX, ZOOM_PITCH_PX / ((this.plan?.pitch ?? 1) * this.#fitScale()));
    this.scale = Math.min(most, Math.max(1, this.scale * factor));
    this.resize();
    this.centreOn(around ?? before);
    this.hooks.onZoom();
  }

  /** Shows the whole plan. */
  fit() {
    this.zoom(0);
  }

  get zoomedIn() {
    return this.scale > 1;
  }

  /** Pixels per unit of the plan. */
  get unit() {
    return this.#fitScale() * this.scale;
  }

  /** Pixels between two neighbours. */
  get pitchPx() {
    return (this.plan?.pitch ?? 0) * this.unit;
  }

  /** Where a seat is on this plan. @param {string} _seatId @returns {PlanSeat | undefined} */
  placeOf(_seatId) {
    return undefined;
  }

  /** The size of the plan on the screen has changed. @param {number} _width @param {number} _height */
  resized(_width, _height) {}

  /** Makes a seat the current one and gives it the focus. @param {PlanSeat} _seat */
  take(_seat) {}

  /** The seat under the pointer itself, where the document knows it. @param {Event} _event @returns {string | undefined} */
  seatIdOf(_event) {
    return undefined;
  }

  /** The seat near a point, with the gaps between seats shared out. @param {{ x: number, y: number }} point */
  nearest(point) {
    const near = closest(this.plan?.seats ?? [], (seat) => Math.hypot(seat.x - point.x, seat.y - point.y));
    return near && Math.hypot(near.x - point.x, near.y - point.y) < (this.plan?.pitch ?? 0) * 0.8 ? near.id : undefined;
  }

  /** Puts the focus on a seat and shows it. @param {string} seatId */
  focus(seatId) {
    const seat = this.placeOf(seatId);
    if (!seat) return;
    this.take(seat);
    if (this.zoomedIn && !this.#isShown(seat)) this.centreOn(seat);
  }

  resize() {
    if (!this.plan) return;
    this.resized(this.unit * this.plan.box.width, this.unit * this.plan.box.height);
  }

  /** @param {{ x: number, y: number }} point */
  centreOn({ x, y }) {
    const box = this.plan?.box ?? { x: 0, y: 0 };
    this.host.scrollLeft = (x - box.x) * this.unit - this.host.clientWidth / 2;
    this.host.scrollTop = (y - box.y) * this.unit - this.host.clientHeight / 2;
  }

  /** A seat counts as another state from now on. @param {string | undefined} from @param {string} to */
  count(from, to) {
    if (from !== undefined) this.counts[from] -= 1;
    this.counts[to] = (this.counts[to] ?? 0) + 1;
  }

  #listen() {
    const { host, hooks } = this;
    const { signal } = this.#listening;
    /** @param {string} type @param {(event: any) => void} act @param {AddEventListenerOptions} [options] */
    const on = (type, act, options = {}) => host.addEventListener(type, act, { signal, ...options });
    on("pointerdown", (event) => (this.#touch = event.pointerType === "touch"));
    on("keydown", () => (this.#touch = false));
    on("click", (event) => this.#clicked(event));
    on("keydown", (event) => this.#key(event));
    on("focusin", (event) => hooks.onLook(this.seatIdOf(event)));
    on("pointerover", (event) => hooks.onLook(this.seatIdOf(event) ?? this.current));
    on("touchstart", (event) => this.#pinchStart(event), { passive: true });
    on("touchmove", (event) => this.#pinchMove(event), { passive: false });
    on("wheel", (event) => this.#wheel(event), { passive: false });
  }

  /** @param {MouseEvent} event */
  #clicked(event) {
    const point = this.toPlan(event.clientX, event.clientY);
    const seatId = this.seatIdOf(event) ?? this.nearest(point);
    if (this.#touch && this.pitchPx < TOUCH_PITCH_PX) {
      this.zoom(TOUCH_ZOOM_PITCH_PX / this.pitchPx, point);
    } else if (seatId !== undefined) {
      this.focus(seatId);
      this.hooks.onToggle(seatId);
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.current === undefined) return;
    const move = MOVES[event.key];
    const seat = this.placeOf(this.current);
    if (move && seat && this.plan) this.focus(move(this.plan, seat).id);
    else if (event.key === "Enter" || event.key === " ") this.hooks.onToggle(this.current);
    else if (event.key === "+") this.zoom(ZOOM_STEP, seat);
    else if (event.key === "-") this.zoom(1 / ZOOM_STEP, seat);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  /** @param {TouchEvent} event */
  #pinchStart(event) {
    this.#pinch = event.touches.length === 2 ? { distance: spread(event), zoom: this.scale } : undefined;
  }

  /** @param {TouchEvent} event */
  #pinchMove(event) {
    if (!this.#pinch || event.touches.length !== 2) return;
    event.preventDefault();
    this.zoom((this.#pinch.zoom * spread(event)) / this.#pinch.distance / this.scale);
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, this.toPlan(event.clientX, event.clientY));
  }

  /** Pixels per unit at which the whole plan is seen. */
  #fitScale() {
    const { width, height } = this.plan?.box ?? { width: 1, height: 1 };
    return Math.min(this.host.clientWidth / width, this.host.clientHeight / height);
  }

  /** @param {number} clientX @param {number} clientY */
  toPlan(clientX, clientY) {
    const rect = this.root.getBoundingClientRect();
    const box = this.plan?.box ?? { x: 0, y: 0 };
    return { x: box.x + (clientX - rect.left) / this.unit, y: box.y + (clientY - rect.top) / this.unit };
  }

  #centre() {
    const rect = this.host.getBoundingClientRect();
    return this.toPlan(rect.left + rect.width / 2, rect.top + rect.height / 2);
  }

  /** Whether a seat is inside the box, and not just so. @param {PlanSeat} seat */
  #isShown(seat) {
    const [root, outer] = [this.root.getBoundingClientRect(), this.host.getBoundingClientRect()];
    const box = this.plan?.box ?? { x: 0, y: 0 };
    const [x, y] = [root.left + (seat.x - box.x) * this.unit, root.top + (seat.y - box.y) * this.unit];
    const edge = 8 + this.pitchPx / 2;
    return x > outer.left + edge && x < outer.right - edge && y > outer.top + edge && y < outer.bottom - edge;
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
export function rowOf(plan, seat) {
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
    return ahead > plan.pitch * 0.05 && aside <= ahead * 1.1 ? ahead + 2 * aside : Number.POSITIVE_INFINITY;
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

/** @param {TouchEvent} event */
function spread({ touches }) {
  return Math.hypot(touches[0].clientX - touches[1].clientX, touches[0].clientY - touches[1].clientY);
}
