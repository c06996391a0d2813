/**
 * The copy of one room in v1, as one connection sees it. Pure: frames come in, the state changes.
 *
 * Invariants:
 *   - A room's copy moves by `seq` within an `epoch`: old frames change nothing, a hole is reported (`gap`).
 *   - A hold is `own` only after an answer of the server said so.
 * Never here: sockets, timers, clocks, the DOM.
 *
 * @typedef {"free" | "pending" | "mine" | "other" | "checkout" | "booked" | "blocked" | "unknown"} SeatStatus  `mine` and
 *   `checkout` are one's own (`checkout`: an order has it), `unknown`: nothing has been told of it yet (v2).
 * @typedef {{ status: SeatStatus, clientId?: string, userInfo?: Record<string, unknown>, expiresAt?: number,
 *   releasing?: boolean, order?: string }} Seat  `expiresAt` is in the server's time; see `ButacaClient.remaining`.
 *   `order`: one's own order has the seat (v2).
 * @typedef {"held" | "checkout" | "booked" | "blocked"} HoldStatus
 * @typedef {{ clientId: string, userInfo: Record<string, unknown>, expiresAt?: number, own: boolean,
 *   state: HoldStatus }} Hold
 * @typedef {Hold & { tries: number, why?: import("./butaca-protocol.js").Refusal }} Wanted  `tries`: how often it has
 *   been asked for on this connection; `why`: what came of it last.
 * @typedef {Record<string, any> & { type: string }} Frame
 * @typedef {{ changed: boolean, gap: boolean, missed: string[] }} Step
 */

/** @type {Seat} */
const FREE = Object.freeze({ status: "free" });
/** @type {Step} */
const NOTHING = Object.freeze({ changed: false, gap: false, missed: [] });
/** @type {Step} */
const CHANGED = Object.freeze({ changed: true, gap: false, missed: [] });

/** `version` grows with every change. */
export class RoomState {
  version = 0;
  joined = false;
  /** A full state was asked for and has not come yet. */
  resyncing = false;
  /** @type {number | undefined} */ seq;
  /** @type {string | undefined} */ epoch;
  /** @type {Map<string, Hold>} */ holds = new Map();
  /** Requests in flight, by seat. @type {Map<string, "select_seat" | "release_seat">} */
  pending = new Map();
  /** Own holds of before an interruption, until the server has answered for them. @type {Map<string, Wanted>} */
  wanted = new Map();
  /** Own holds of before a `room_joined`, until it is known whether a full state follows. @type {Map<string, Hold>} */
  #before = new Map();

  /** @param {string} roomId @param {string} clientId */
  constructor(roomId, clientId) {
    this.roomId = roomId;
    this.clientId = clientId;
  }

  /** @param {string} seatId @returns {Seat} */
  seat(seatId) {
    const hold = this.holds.get(seatId);
    const pending = this.pending.get(seatId);
    const asked = pending === "select_seat" || this.wanted.has(seatId);
    if (asked && !hold?.own) return { ...hold, status: "pending" };
    if (!hold) return FREE;
    const { own, state, ...shown } = hold;
    return { ...shown, status: statusOf(own, state), releasing: pending === "release_seat" };
  }

  /** The seats that are not free. */
  taken() {
    return [...this.holds.keys()];
  }

  /** The seats this connection holds: not those that an order has taken out of its hands. */
  own() {
    return this.#owned().filter(([, hold]) => hold.state === "held");
  }

  #owned() {
    return [...this.holds].filter(([, hold]) => hold.own);
  }

  /**
   * Takes a frame of this room. `reply` says that it answers a request of this connection.
   * The answer tells whether anything changed, whether events are missing before it, and which own holds turned out to
   * have ended in events that were missed.
   * @param {Frame} frame @param {boolean} reply @returns {Step}
   */
  apply(frame, reply) {
    const step = this.#step(frame, reply);
    if (step.changed) this.version += 1;
    return step;
  }

  /**
   * The connection is gone, and with it every hold of it; what the others hold is unknown from now on.
   * @param {boolean} reclaim  Whether the own holds will be asked for again.
   */
  disconnect(reclaim) {
    for (const hold of this.wanted.values()) hold.tries = 0;
    if (!reclaim) this.wanted.clear();
    else for (const [seatId, hold] of this.own()) this.wanted.set(seatId, { ...hold, tries: 0 });
    // No full state will come for a room that is not joined, so nothing would ever correct what is left here.
    if (!this.joined) for (const [seatId] of this.own()) this.holds.delete(seatId);
    this.joined = this.resyncing = false;
    this.seq = this.epoch = undefined;
    this.pending.clear();
    this.#before.clear();
    for (const hold of this.holds.values()) hold.own = false;
    this.version += 1;
  }

  /** @param {Frame} frame @param {boolean} reply */
  #step(frame, reply) {
    switch (frame.type) {
      case "room_joined":
        return this.#restart(frame);
      case "room_left":
        this.left();
        return CHANGED;
      case "current_selections":
        return this.#replace(frame);
      case "seat_selected":
      case "seat_released":
        return typeof frame.seat_id === "string" ? this.#event(frame, reply) : NOTHING;
      default:
        return NOTHING;
    }
  }

  /**
   * An empty room sends nothing after `room_joined`: so the room is empty from here on, unless the next frame says
   * otherwise. Own holds are kept aside for that case, since a full state names clients and not connections.
   * @param {Frame} frame
   */
  #restart(frame) {
    this.joined = true;
    this.resyncing = false;
    this.seq = frame.seq;
    this.epoch = frame.epoch;
    this.#before = new Map(this.#owned());
    this.holds = new Map();
    return CHANGED;
  }

  /** @param {Frame} frame */
  #replace(frame) {
    const old = this.#sameEpoch(frame) && this.#behind(frame) > 0;
    if (old || !Array.isArray(frame.selections)) return NOTHING;
    const before = this.#before.size > 0 ? this.#before : this.holds;
    this.#before = new Map();
    this.holds = new Map();
    for (const selection of frame.selections) {
      if (typeof selection?.seat_id !== "string") continue;
      const hold = toHold(selection);
      const was = before.get(selection.seat_id);
      hold.own = was !== undefined && was.own && was.clientId === hold.clientId && (hold.state !== "held" || sameEnd(was, hold));
      this.holds.set(selection.seat_id, hold);
    }
    this.seq = frame.seq ?? this.seq;
    this.epoch = frame.epoch ?? this.epoch;
    const missed = [...before].filter(([seatId, hold]) => hold.own && !this.holds.get(seatId)?.own).map(([seatId]) => seatId);
    return { changed: true, gap: false, missed };
  }

  /** @param {Frame} frame @param {boolean} reply */
  #event(frame, reply) {
    const behind = this.#sameEpoch(frame) ? this.#behind(frame) : -1;
    // Selecting a seat twice is answered with the first answer, whose `seq` is old by now: still a confirmation.
    if (behind >= 0 && !(reply && frame.type === "seat_selected")) return NOTHING;
    const missed = behind < 0 ? [...this.#before.keys()] : [];
    if (behind < 0) this.#before.clear();
    const before = this.holds.get(frame.seat_id);
    // An own hold goes into checkout, is booked, or is back in the cart: told to its owner as to everybody.
    const moved = frame.status !== undefined && before?.own === true && before.clientId === frame.client_id;
    const taken = frame.type === "seat_selected" && !reply && before?.own && !moved;
    if (taken) missed.push(frame.seat_id);
    if (frame.type === "seat_selected") this.holds.set(frame.seat_id, { ...toHold(frame), own: reply || moved });
    else this.holds.delete(frame.seat_id);
    const hole = this.seq !== undefined && frame.seq !== undefined && frame.seq > this.seq + 1;
    const gap = this.joined && !this.resyncing && (hole || !this.#sameEpoch(frame));
    if (frame.seq !== undefined && behind < 0) this.seq = frame.seq;
    return { changed: true, gap, missed };
  }

  /** Own holds outlive a membership, and their end is still told; what the others do is not. */
  left() {
    this.joined = this.resyncing = false;
    this.holds = new Map(this.#owned());
  }

  /** Whether the frame is newer than what this copy shows. @param {Frame} frame */
  isNews(frame) {
    return !this.#sameEpoch(frame) || this.#behind(frame) < 0;
  }

  /** @param {Frame} frame */
  #sameEpoch(frame) {
    return frame.epoch === undefined || this.epoch === undefined || frame.epoch === this.epoch;
  }

  /** How far the frame lies behind this copy: 0 is what it shows, below 0 is news. @param {Frame} frame */
  #behind(frame) {
    return this.seq === undefined || frame.seq === undefined ? -1 : this.seq - frame.seq;
  }
}

/** @param {Frame} frame @returns {Hold} */
function toHold(frame) {
  const end = frame.expires_at === undefined ? Number.NaN : Date.parse(frame.expires_at);
  return {
    clientId: frame.client_id,
    userInfo: frame.user_info ?? {},
    expiresAt: Number.isNaN(end) ? undefined : end,
    own: false,
    state: HOLD_STATES.has(frame.status) ? frame.status : "held",
  };
}

const HOLD_STATES = new Set(["held", "checkout", "booked", "blocked"]);

/** @param {boolean} own @param {HoldStatus} state @returns {SeatStatus} */
function statusOf(own, state) {
  if (state === "booked" || state === "blocked") return state;
  if (!own) return "other";
  return state === "checkout" ? "checkout" : "mine";
}

/** The old service's replies do not say when a hold ends. @param {Hold} a @param {Hold} b */
function sameEnd(a, b) {
  return a.expiresAt === undefined || a.expiresAt === b.expiresAt;
}
