/**
 * The copy of one room in v2: the map of its seats, and one's own cart. Pure: frames come in, the state changes.
 *
 * Invariants:
 *   - The map moves by snapshots and deltas alone, from position to position: a delta that reaches beyond the next `seq`
 *     is a hole (`gap`) and changes nothing; one that lies behind changes nothing.
 *   - The cart is what the server said last, whole. What an own reply said of seats that left it is shown until the map
 *     has reached that `seq`: own frames do not wait for the tick, deltas do.
 *   - `states` has one byte a seat of the layout, 0 to 3. Without a layout, or as long as its seats are not known by
 *     name, seats are told apart as far as can be.
 * Never here: sockets, timers, clocks, the DOM.
 *
 * @import { Frame, Seat } from "./butaca-room.js"
 * @typedef {{ order: string, status: string, seats: string[], expiresAt?: number }} Order  `checkout` or `booked`.
 * @typedef {{ seats: string[], expiresAt?: number, extendsLeft: number, orders: Order[] }} Cart  `expiresAt` in the server's
 *   time; without one the cart is empty.
 * @typedef {{ id: string, version: string, seats: number }} LayoutName  `seats`: how many.
 * @typedef {Record<string, any> & { seats: { id: string }[] }} Layout
 * @typedef {{ changed: boolean, gap: boolean, seats?: string[], cart?: { reason: string, gone: string[], order?: string } }} Step
 *   `seats`: those that look different, where they are few and known by name.
 */

import { LAYOUT_SEATS_MAX, timeOf } from "./butaca-protocol.js";

export const FREE = 0;
export const HELD = 1;
export const BOOKED = 2;
export const BLOCKED = 3;
/** More than that many seats at once are "all". */
const NAMED_MAX = 2_000;

/** @type {Cart} */
const EMPTY = Object.freeze({ seats: [], extendsLeft: 0, orders: [] });
/** @type {Seat[]} */
const SHOWN = [{ status: "free" }, { status: "other" }, { status: "booked" }, { status: "blocked" }];
/** @type {Step} */
const NOTHING = Object.freeze({ changed: false, gap: false });

/** `version` grows with every change. */
export class RoomMap {
  version = 0;
  joined = false;
  /** A snapshot was asked for, because of a hole. */
  resyncing = false;
  /** @type {string | undefined} */ epoch;
  /** @type {number | undefined} */ seq;
  /** @type {LayoutName | undefined} */ layout;
  /** With a layout: one state a seat, in its order. @type {Uint8Array | undefined} */ states;
  /** Without one: the seats that are not free. @type {Map<string, number>} */ named = new Map();
  /** The layout as it was fetched, for who draws it. @type {Layout | undefined} */ hall;
  /** Names of the seats of the layout, once they are known. @type {string[] | undefined} */ names;
  /** @type {Cart} */ cart = EMPTY;
  sale = "open";
  /** @type {string | undefined} */ message;
  /** @type {number | undefined} */ holdMs;
  /** 0 is no limit. @type {number | undefined} */ maxSeats;
  /** Requests in flight, by seat. @type {Map<string, "select_seat" | "release_seat">} */
  pending = new Map();
  /** Own seats by name: in the cart or in an order. @type {Map<string, Seat>} */ #mine = new Map();
  /** States that own frames told, and the `seq` at which they were so. @type {Map<string, { state: number, seq: number }>} */
  #told = new Map();
  /** @type {Map<string, number> | undefined} */ #indexes;
  /** The epoch of which `room_joined` has told. @type {string | undefined} */ #life;

  /** @param {string} roomId */
  constructor(roomId) {
    this.roomId = roomId;
  }

  /** Whether there is a map: a snapshot has come. */
  get known() {
    return this.seq !== undefined;
  }

  /** @param {string} seatId @returns {Seat} */
  seat(seatId) {
    const mine = this.#mine.get(seatId);
    const pending = this.pending.get(seatId);
    if (mine) return pending === undefined ? mine : { ...mine, releasing: pending === "release_seat" };
    if (pending === "select_seat") return { ...this.#shown(seatId), status: "pending" };
    return this.#shown(seatId);
  }

  /** The same by the place in the layout, for who draws thousands. @param {number} index @returns {Seat} */
  seatAt(index) {
    const name = this.names?.[index];
    return name === undefined ? SHOWN[this.states?.[index] ?? FREE] : this.seat(name);
  }

  /** @param {string} seatId @returns {number | undefined} */
  indexOf(seatId) {
    return this.#indexes?.get(seatId);
  }

  /** Whether something in this room is one's own. */
  get holdsAnything() {
    return this.#mine.size > 0;
  }

  /** The seats of the cart, without those of orders. @returns {[string, Seat][]} */
  own() {
    return this.cart.seats.map((seatId) => [seatId, { status: "mine", expiresAt: this.cart.expiresAt }]);
  }

  /** The seats that are not free, as far as they are known by name. */
  taken() {
    if (!this.states) return [...new Set([...this.named.keys(), ...this.#mine.keys()])];
    return (this.names ?? []).filter((_, index) => this.states?.[index] !== FREE);
  }

  /** How many seats there are of each state; `free` is undefined without a layout. */
  counts() {
    const count = [0, 0, 0, 0];
    if (this.states) for (const state of this.states) count[state] += 1;
    else for (const state of this.named.values()) count[state] += 1;
    return { free: this.states ? count[FREE] : undefined, held: count[HELD], booked: count[BOOKED], blocked: count[BLOCKED] };
  }

  /** Where this copy stands, for a `join_room` that goes on from there. @returns {{ epoch: string, seq: number } | undefined} */
  get position() {
    return this.epoch === undefined || this.seq === undefined ? undefined : { epoch: this.epoch, seq: this.seq };
  }

  /** Learns the names of the seats; false when they are not those of the room's layout. @param {Layout} layout */
  useLayout(layout) {
    const seats = Array.isArray(layout?.seats) ? layout.seats : [];
    if (this.layout === undefined || seats.length !== this.layout.seats) return false;
    this.hall = layout;
    this.names = seats.map((seat) => String(seat?.id));
    this.#indexes = new Map(this.names.map((name, index) => [name, index]));
    this.version += 1;
    return true;
  }

  /** Takes a frame of this room. @param {Frame} frame @returns {Step} */
  apply(frame) {
    const step = this.#step(frame);
    if (step.changed) this.version += 1;
    return step;
  }

  /** The connection is gone. The cart waits for its session, and the position for the next `join_room`. */
  disconnect() {
    this.joined = this.resyncing = false;
    this.pending.clear();
    this.version += 1;
  }

  /** Nobody tells of this room any more. The cart stays. */
  left() {
    this.joined = this.resyncing = false;
    this.#forget();
    this.version += 1;
  }

  /**
   * Takes a cart that the server told, and says what is not in it any more.
   * @param {Frame} told @param {string} reason @param {Frame} [frame]  The frame that told it.
   * @returns {{ reason: string, gone: string[], order?: string }}
   */
  takeCart(told, reason, frame) {
    const before = this.cart;
    this.cart = toCart(told);
    const after = new Set(this.cart.seats);
    const missing = before.seats.filter((seatId) => !after.has(seatId));
    const gone = [...new Set([...texts(frame?.gone), ...missing])];
    this.#mine = mineOf(this.cart);
    if (typeof frame?.seq === "number") this.#tell(before, frame.seq);
    this.version += 1;
    return { reason, gone, ...(typeof frame?.order === "string" ? { order: frame.order } : {}) };
  }

  /** The cart is not this client's any more. */
  dropCart() {
    const { seats } = this.cart;
    this.cart = EMPTY;
    this.#mine.clear();
    this.#told.clear();
    this.version += 1;
    return seats;
  }

  /** @param {Frame} frame @returns {Step} */
  #step(frame) {
    switch (frame.type) {
      case "room_joined":
        return this.#join(frame);
      case "room_left":
        this.left();
        return { changed: true, gap: false };
      case "snapshot":
        return this.#snapshot(frame);
      case "delta":
        return this.#delta(frame);
      case "room_state":
        this.sale = typeof frame.sale === "string" ? frame.sale : this.sale;
        this.message = typeof frame.message === "string" ? frame.message : undefined;
        if (this.sale === "deleted") this.joined = false;
        return { changed: true, gap: false, seats: [] };
      case "seats_held":
        return this.#cart(frame, "held");
      case "seats_released":
        return this.#cart(frame, "released");
      case "hold_extended":
        return this.#cart(frame, "extended");
      case "cart":
        return this.#cart(frame, typeof frame.reason === "string" ? frame.reason : "told");
      case "hold_expiring":
        return this.#cart(frame, "told");
      default:
        return NOTHING;
    }
  }

  /** @param {Frame} frame @returns {Step} */
  #join(frame) {
    this.joined = true;
    this.resyncing = false;
    this.holdMs = frame.hold_ms;
    this.maxSeats = frame.max_seats;
    this.sale = typeof frame.sale === "string" ? frame.sale : "open";
    const layout = toLayoutName(frame.layout);
    const other = layout?.id !== this.layout?.id || layout?.version !== this.layout?.version;
    if (other || frame.epoch !== this.epoch) this.#forget();
    if (other) this.names = this.#indexes = this.hall = undefined;
    this.layout = layout;
    this.#life = frame.epoch;
    return { changed: true, gap: false };
  }

  #forget() {
    this.epoch = this.seq = this.states = undefined;
    this.named = new Map();
    this.#told.clear();
  }

  /** @param {Frame} frame @returns {Step} */
  #snapshot(frame) {
    // It was asked for while the room got another layout: which seats its numbers mean is told next, with a map.
    if (this.layout && this.#life !== undefined && frame.epoch !== this.#life) return this.#cart(frame, "told");
    const map = this.layout ? unpack(frame.states, this.layout.seats) : named(frame.seats);
    // A packed map that could not be read; the next one is asked for as it is.
    if (map === undefined && frame.packed !== undefined && this.joined) return this.#hole();
    if (map === undefined || !Number.isSafeInteger(frame.seq) || typeof frame.epoch !== "string") return NOTHING;
    this.states = map instanceof Uint8Array ? map : undefined;
    this.named = map instanceof Map ? map : new Map();
    this.epoch = frame.epoch;
    this.seq = frame.seq;
    this.resyncing = false;
    this.#settleTold();
    const cart = frame.cart === undefined ? undefined : this.takeCart(frame.cart, "told", frame);
    return { changed: true, gap: false, cart };
  }

  /** @param {Frame} frame @returns {Step} */
  #delta({ epoch, from, to, changes }) {
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || !Array.isArray(changes) || !this.joined) return NOTHING;
    if (this.seq === undefined || epoch !== this.epoch || from > this.seq + 1) return this.#hole();
    if (to <= this.seq) return NOTHING;
    for (const change of changes) if (!this.#set(change?.[0], change?.[1])) return this.#hole();
    this.seq = to;
    const told = this.#settleTold();
    const names = changes.length > NAMED_MAX ? undefined : this.#namesOf(changes);
    return { changed: changes.length > 0 || told.length > 0, gap: false, seats: names && [...names, ...told] };
  }

  /** The map cannot go on from here. Told once: the snapshot that is asked for mends it. @returns {Step} */
  #hole() {
    const gap = !this.resyncing;
    this.resyncing = true;
    return { changed: gap, gap, seats: [] };
  }

  /** @param {unknown} seat @param {unknown} state */
  #set(seat, state) {
    if (typeof state !== "number" || SHOWN[state] === undefined) return false;
    if (this.states) {
      if (typeof seat !== "number" || this.states[seat] === undefined) return false;
      this.states[seat] = state;
    } else if (typeof seat !== "string") return false;
    else if (state === FREE) this.named.delete(seat);
    else this.named.set(seat, state);
    return true;
  }

  /** @param {[number | string, number][]} changes */
  #namesOf(changes) {
    if (!this.states) return changes.map(([seat]) => String(seat));
    const { names } = this;
    return names && changes.map(([index]) => names[Number(index)]);
  }

  /** @param {Frame} frame @param {string} reason @returns {Step} */
  #cart(frame, reason) {
    if (typeof frame.cart !== "object" || frame.cart === null) return NOTHING;
    const before = [...this.#mine.keys()];
    const cart = this.takeCart(frame.cart, reason, frame);
    return { changed: true, gap: false, seats: [...new Set([...before, ...this.#mine.keys()])], cart };
  }

  /** What an own frame says of the map before the map does. @param {Cart} before @param {number} seq */
  #tell(before, seq) {
    if (this.seq === undefined || seq <= this.seq) return;
    for (const seatId of before.seats) if (!this.#mine.has(seatId)) this.#told.set(seatId, { state: FREE, seq });
    for (const seatId of this.#mine.keys()) this.#told.delete(seatId);
  }

  /** The map has come to where own frames were. */
  #settleTold() {
    const settled = [...this.#told].filter(([, { seq }]) => seq <= (this.seq ?? 0)).map(([seatId]) => seatId);
    for (const seatId of settled) this.#told.delete(seatId);
    return settled;
  }

  /** @param {string} seatId */
  #shown(seatId) {
    const told = this.#told.get(seatId);
    if (told) return SHOWN[told.state];
    if (!this.known || (this.states && !this.#indexes)) return /** @type {Seat} */ ({ status: "unknown" });
    return SHOWN[(this.states ? this.states[this.#indexes?.get(seatId) ?? -1] : this.named.get(seatId)) ?? FREE];
  }
}

/** @param {unknown} told  As base64, or unpacked already. @param {number} count */
function unpack(told, count) {
  try {
    const bytes = told instanceof Uint8Array ? told : Uint8Array.from(atob(String(told)), (byte) => byte.charCodeAt(0));
    if (bytes.length !== Math.ceil(count / 4)) return undefined;
    const states = new Uint8Array(count);
    for (let index = 0; index < count; index += 1) states[index] = (bytes[index >> 2] >> (2 * (index & 3))) & 3;
    return states;
  } catch {
    return undefined;
  }
}

/** @param {unknown} seats */
function named(seats) {
  if (!Array.isArray(seats)) return undefined;
  return new Map(seats.filter((seat) => typeof seat?.[0] === "string" && SHOWN[seat[1]] !== undefined && seat[1] !== FREE));
}

/** @param {any} told @returns {LayoutName | undefined} */
function toLayoutName(told) {
  const isOne = typeof told?.id === "string" && Number.isSafeInteger(told.seats) && told.seats >= 0 && told.seats <= LAYOUT_SEATS_MAX;
  return isOne ? { id: told.id, version: String(told.version), seats: told.seats } : undefined;
}

/** @param {any} told @returns {Cart} */
function toCart(told) {
  const orders = Array.isArray(told?.orders) ? told.orders : [];
  return {
    seats: texts(told?.seats),
    ...endOf(told),
    extendsLeft: Number.isSafeInteger(told?.extends_left) ? told.extends_left : 0,
    orders: orders
      .filter((/** @type {any} */ order) => typeof order?.order === "string")
      .map((/** @type {any} */ order) => ({
        order: order.order, status: String(order.status), seats: texts(order.seats), ...endOf(order),
      })),
  };
}

/** @param {unknown} list @returns {string[]} */
function texts(list) {
  return Array.isArray(list) ? list.filter((each) => typeof each === "string") : [];
}

/** @param {any} told */
function endOf(told) {
  const expiresAt = timeOf(told?.expires_at);
  return expiresAt === undefined ? {} : { expiresAt };
}

/** @param {Cart} cart */
function mineOf({ seats, expiresAt, orders }) {
  /** @type {Map<string, Seat>} */ const mine = new Map(seats.map((seatId) => [seatId, { status: "mine", expiresAt }]));
  for (const { order, status, seats: ordered, expiresAt: end } of orders) {
    for (const seatId of ordered) mine.set(seatId, { status: status === "booked" ? "booked" : "checkout", order, expiresAt: end });
  }
  return mine;
}
