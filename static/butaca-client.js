/**
 * The seat-selection protocol (v1) for browsers and any JavaScript with a WebSocket. No dependency.
 *
 * Owns: the requests in flight on one connection, and a copy of every room that it has to do with (`RoomState`).
 * Invariants:
 *   - A seat is `mine` only after the server's answer; a request in flight shows as `pending`, a refusal rolls it back.
 *   - A hole in a room's events asks for the full state again; after a reconnection every room is joined again.
 *   - What was held when a connection was lost is asked for again, in every room, or told as `lost`. So no seat stays
 *     `pending`: an answer, the end of the connection, the heartbeat or the end of the hold settles it.
 *   - Nothing that belongs to an earlier socket (event, timer, answer) touches the state of the present one.
 *   - What happens at once is told when all of it is done (`#whole`): a listener may call anything.
 * Never here: the DOM, layouts, texts for people.
 *
 * @example
 *   const client = new ButacaClient({ url: "ws://localhost:8001", clientId: "ana", userInfo: { name: "Ana" } });
 *   client.addEventListener("change", ({ detail }) => draw(client.room(detail.roomId)));
 *   client.connect();
 *   client.join("hall-1");
 *   const outcome = await client.select("hall-1", "A1"); // never rejects: { ok: false, code: "seat_taken" } is an answer
 *
 * Events, all `CustomEvent`s with a `detail`:
 *   `status` StatusDetail · `change` {roomId} · `refused` {roomId?, seatId?, requestType, code, message, retryAfterMs?} ·
 *   `ended` {roomId, seatId, reason}: an own hold ended unasked, `unknown` when the event itself was missed ·
 *   `lost` {roomId, seatId, code, message}: an own hold ended with its connection and did not come back ·
 *   `gap` {roomId} · `message` {direction: "in" | "out", frame}.
 *
 * @import { Frame, Wanted } from "./butaca-room.js"
 * @import { Refusal } from "./butaca-protocol.js"
 * @typedef {import("./butaca-link.js").Status} Status
 * @typedef {import("./butaca-link.js").StatusDetail} StatusDetail
 * @typedef {import("./butaca-protocol.js").Outcome} Outcome
 * @typedef {{ frame: Frame, resolve: (outcome: Outcome) => void, beats: number }} Request
 *
 * @typedef {object} Options
 * @property {string} url  `ws://host:port`, without a path.
 * @property {string} clientId  1 to 128 bytes of UTF-8; a display name, not a credential.
 * @property {Record<string, unknown>} [userInfo]  Shown to the others with each seat.
 * @property {boolean} [reclaim]  After a reconnection, ask again for the seats that were mine (default true).
 * @property {number} [connectMs]  How long an attempt to connect may take (default 10000).
 * @property {number} [retryMinMs]  First back-off (default 500).
 * @property {number} [retryMaxMs]  Longest back-off (default 15000).
 * @property {number} [heartbeatMs]  How often the connection is asked for a sign of life (default 20000).
 * @property {number} [messageBytesMax]  What the server takes in one message (default 65536); more is not sent.
 * @property {typeof WebSocket} [WebSocket]  For environments without a global one.
 */

import { Link } from "./butaca-link.js";
import {
  answers, encode, isOwnSelect, isPassing, isValidClientId, isValidId, parse, refusal, toOutcome,
} from "./butaca-protocol.js";
import { Pace } from "./butaca-pace.js";
import { RoomState } from "./butaca-room.js";

export { isValidClientId, isValidId, RoomState };

const DEFAULTS = {
  reclaim: true,
  connectMs: 10_000,
  retryMinMs: 500,
  retryMaxMs: 15_000,
  heartbeatMs: 20_000,
  messageBytesMax: 65_536,
};
/** Requests without an answer. At the bound: `busy`. */
const IN_FLIGHT_MAX = 1_000;
/** Heartbeats within which a request must be answered, whatever else arrives: an answer may wait behind many events. */
const ANSWER_BEATS = 3;
/** How often a seat of before an interruption is asked for until it counts as lost. */
const RECLAIMS_MAX = 5;

/** One connection that comes back by itself, and the rooms on it. */
export class ButacaClient extends EventTarget {
  /** @type {Link} */ #link;
  /** @type {Request[]} */ #inFlight = [];
  /** @type {Map<string, RoomState>} */ #rooms = new Map();
  /** Rooms the user wants to be in. @type {Set<string>} */ #wanted = new Set();
  #pace = new Pace(() => this.#whole(() => this.#work()));
  /** Events of a change that is under way. @type {CustomEvent[]} */ #untold = [];
  #changing = 0;
  #quietTicks = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #heartbeat;
  /** Server time minus local time; the largest sample is the one that travelled the shortest. */
  #clockOffset = Number.NEGATIVE_INFINITY;
  /** No sample of this connection yet: clocks may have been set, so the next sample replaces those of before. */
  #clockIsOld = true;

  /** @param {Options} options  Throws a RangeError when `clientId` is none. */
  constructor(options) {
    super();
    if (!isValidClientId(options.clientId)) throw new RangeError(`${ID_RULE}; not system, not holder:…`);
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    this.options = { ...DEFAULTS, .../** @type {Options} */ (given) };
    this.clientId = options.clientId;
    this.userInfo = options.userInfo ?? {};
    const address = `${options.url.replace(/\/+$/, "")}/ws/${encodeURIComponent(this.clientId)}`;
    this.#link = new Link(address, this.options, {
      status: (detail) => this.#whole(() => this.#status(detail)),
      text: (text) => this.#whole(() => this.#received(text)),
    });
  }

  /** @returns {Status} */
  get status() {
    return this.#link.status;
  }

  /** The copy of a room; it exists from the first `join`, `select` or `room` on. @param {string} roomId */
  room(roomId) {
    let room = this.#rooms.get(roomId);
    if (!room) this.#rooms.set(roomId, (room = new RoomState(roomId, this.clientId)));
    return room;
  }

  /** Opens the connection, and opens it again whenever it is lost, until `close`. Throws what `WebSocket` throws. */
  connect() {
    this.#link.connect();
  }

  /** Ends the connection for good; the server releases its holds. */
  close() {
    this.#link.close();
  }

  /**
   * Now, or as soon as there is a connection, and again after each interruption.
   * @param {string} roomId @returns {Promise<Outcome>}
   */
  join(roomId) {
    if (isValidId(roomId)) {
      this.#wanted.add(roomId);
      this.room(roomId);
    }
    return this.#request({ type: "join_room", room_id: roomId });
  }

  /** Holds are kept; release them first where they should not be. @param {string} roomId @returns {Promise<Outcome>} */
  leave(roomId) {
    return this.#whole(() => {
      const room = this.#rooms.get(roomId);
      this.#wanted.delete(roomId);
      if (room && this.status !== "open") {
        room.left();
        this.#changed(room);
      }
      return this.#request({ type: "leave_room", room_id: roomId });
    });
  }

  /**
   * @param {string} roomId @param {string} seatId @param {Record<string, unknown>} [userInfo]
   * @returns {Promise<Outcome>}
   */
  select(roomId, seatId, userInfo = this.userInfo) {
    return this.#request({ type: "select_seat", room_id: roomId, seat_id: seatId, user_info: userInfo });
  }

  /**
   * Without a connection: the seat is not asked for again when there is one.
   * @param {string} roomId @param {string} seatId @returns {Promise<Outcome>}
   */
  release(roomId, seatId) {
    return this.#whole(() => {
      const room = this.#rooms.get(roomId);
      if (room?.wanted.delete(seatId)) this.#changed(room);
      return this.#request({ type: "release_seat", room_id: roomId, seat_id: seatId });
    });
  }

  /** Milliseconds to the server and back, or undefined. @returns {Promise<number | undefined>} */
  async ping() {
    const sentAt = Date.now();
    const outcome = await this.#request({ type: "ping" });
    return outcome.ok ? Date.now() - sentAt : undefined;
  }

  /** The server's clock, as far as it is known. */
  serverNow() {
    return Date.now() + (Number.isFinite(this.#clockOffset) ? this.#clockOffset : 0);
  }

  /** Milliseconds left to a hold; undefined when its end is unknown. @param {{ expiresAt?: number }} seat */
  remaining(seat) {
    return seat.expiresAt === undefined ? undefined : Math.max(0, seat.expiresAt - this.serverNow());
  }

  /** @param {Frame} frame @returns {Promise<Outcome>} */
  #request(frame) {
    const message = encode(frame);
    const problem = this.#problem(frame, message?.text);
    if (problem || !message) return Promise.resolve(problem ?? refusal("bad_request", "JSON cannot hold this"));
    const { text, sent } = message;
    if (!this.#link.send(text)) return Promise.resolve(refusal("offline", "not connected"));
    return new Promise((resolve) => {
      this.#inFlight.push({ frame: sent, resolve, beats: 0 });
      this.#whole(() => this.#sent(sent));
    });
  }

  /** @param {Frame} frame */
  #sent(frame) {
    if (frame.seat_id !== undefined) {
      const room = this.room(frame.room_id);
      room.pending.set(frame.seat_id, frame.type === "select_seat" ? "select_seat" : "release_seat");
      this.#changed(room);
    }
    this.#emit("message", { direction: "out", frame });
  }

  /** Why this request is not sent. @param {Frame} frame @param {string} [text] @returns {Refusal | undefined} */
  #problem({ type, room_id: roomId, seat_id: seatId }, text) {
    const ids = type === "ping" ? [] : type.endsWith("seat") ? [roomId, seatId] : [roomId];
    if (!ids.every(isValidId)) return refusal("bad_request", ID_RULE);
    if (text !== undefined && bytesOf(text) > this.options.messageBytesMax) {
      return refusal("bad_request", `the message is longer than ${this.options.messageBytesMax} bytes`);
    }
    if (this.status !== "open") return refusal("offline", "not connected");
    if (this.#pace.paused) {
      const refused = { ...refusal("rate_limited", "too many messages"), retryAfterMs: this.#pace.pauseLeft };
      if (seatId !== undefined) this.#emit("refused", { roomId, seatId, requestType: type, ...withoutOk(refused) });
      return refused;
    }
    if (this.#rooms.get(roomId)?.pending.has(seatId)) return refusal("busy", "a request for this seat is in flight");
    if (this.#inFlight.length >= IN_FLIGHT_MAX) return refusal("busy", "too many requests are in flight");
    return undefined;
  }

  /** @param {StatusDetail} detail */
  #status(detail) {
    if (detail.status === "open") this.#opened(detail);
    else if (detail.status === "connecting") this.#emit("status", detail);
    else this.#down(detail);
  }

  /** @param {StatusDetail} detail */
  #opened(detail) {
    this.#clockIsOld = true;
    this.#quietTicks = 0;
    this.#heartbeat = setInterval(() => this.#beat(), this.options.heartbeatMs);
    this.#pace.begin();
    this.#emit("status", detail);
    this.#work();
  }

  /** The connection is gone, or another attempt was in vain. @param {StatusDetail} detail */
  #down(detail) {
    clearInterval(this.#heartbeat);
    this.#pace.stop();
    const again = detail.status === "waiting" && this.options.reclaim;
    const lost = [];
    for (const room of this.#rooms.values()) {
      const held = [...room.wanted.keys(), ...room.own().map(([seatId]) => seatId)];
      room.disconnect(again);
      for (const [seatId, hold] of room.wanted) {
        if (this.remaining(hold) === 0) lost.push(this.#giveUp(room, seatId, EXPIRED));
      }
      // Who closes knows what that ends; who is closed is told.
      const asked = detail.status === "closed" && detail.code === undefined;
      if (!again && !asked) lost.push(...held.map((seatId) => this.#giveUp(room, seatId, DISCONNECTED)));
    }
    const requests = this.#inFlight.splice(0);
    this.#emit("status", detail);
    for (const room of this.#rooms.values()) this.#changed(room);
    for (const each of lost) this.#emit("lost", each);
    for (const request of requests) request.resolve(refusal("offline", "the connection was lost"));
  }

  /**
   * Sends what the module owes the server by itself: joins, the seats of before an interruption, leaving what nobody
   * wants to be in. It compares what should be with what is, so calling it once more is harmless.
   */
  #work() {
    for (const room of this.#rooms.values()) {
      const rests = this.#pace.rests(room.roomId);
      if (rests === "for a while") continue;
      const wanted = this.#wanted.has(room.roomId);
      // A hold that the server kept over a restart is given back to who joins; so a room is visited for its seats.
      const join = (wanted || room.wanted.size > 0) && (!room.joined || room.resyncing);
      if (join && rests === "no") this.#ask(room, "join_room");
      for (const [seatId, hold] of [...room.wanted]) this.#reclaim(room, seatId, hold);
      if (room.joined && !wanted && room.wanted.size === 0 && rests === "no") this.#ask(room, "leave_room");
    }
  }

  /** @param {RoomState} room @param {"join_room" | "leave_room"} type */
  #ask(room, type) {
    const underWay = this.#inFlight.some(({ frame }) => frame.type === type && frame.room_id === room.roomId);
    if (!underWay && this.#mayAsk()) void this.#request({ type, room_id: room.roomId });
  }

  /** @param {RoomState} room @param {string} seatId @param {Wanted} hold */
  #reclaim(room, seatId, hold) {
    if (room.pending.has(seatId)) return;
    const overdue = this.remaining(hold) === 0;
    if (overdue || hold.tries >= RECLAIMS_MAX) {
      const lost = this.#giveUp(room, seatId, overdue ? EXPIRED : (hold.why ?? UNANSWERED));
      this.#changed(room);
      this.#emit("lost", lost);
    } else if (this.#mayAsk()) {
      hold.tries += 1;
      void this.select(room.roomId, seatId, hold.userInfo);
    }
  }

  /** Whether the module may send a request of its own now; if not, it goes on by itself later. */
  #mayAsk() {
    return this.status === "open" && this.#pace.mayAsk();
  }

  /** @param {RoomState} room @param {string} seatId @param {Refusal} why */
  #giveUp(room, seatId, { code, message }) {
    room.wanted.delete(seatId);
    return { roomId: room.roomId, seatId, code, message };
  }

  /** @param {string} text */
  #received(text) {
    this.#quietTicks = 0;
    this.#link.proven();
    const frame = parse(text);
    this.#emit("message", { direction: "in", frame: frame ?? { type: "?", text } });
    if (!frame) return;
    this.#learnTime(frame.type === "pong" ? frame.timestamp : frame.now);
    const request = this.#takeRequest(frame);
    const roomId = request?.frame.room_id ?? frame.room_id ?? frame.selections?.[0]?.room_id;
    const room = this.#rooms.get(roomId);
    if (frame.type === "error") this.#refused(frame, request, room);
    else if (room) this.#apply(room, frame, request);
    if (request) this.#settle(request, toOutcome(frame));
    this.#work();
  }

  /** @param {RoomState} room @param {Frame} frame @param {Request | undefined} request */
  #apply(room, frame, request) {
    // An answer that was given up comes late: it still says what is mine.
    const late = request === undefined && isOwnSelect(frame, this.clientId) && room.isNews(frame);
    const reply = request !== undefined || late;
    const before = room.holds.get(frame.seat_id);
    const info = late ? this.userInfo : request?.frame.user_info;
    const shown = reply && frame.type === "seat_selected" ? { ...frame, user_info: info } : frame;
    const { changed, gap, missed } = room.apply(shown, reply);
    if (gap) room.resyncing = true;
    for (const seatId of missed) this.#emit("ended", { roomId: room.roomId, seatId, reason: "unknown" });
    if (changed && frame.type === "seat_released" && before?.own && !reply) {
      this.#emit("ended", { roomId: room.roomId, seatId: frame.seat_id, reason: frame.reason ?? "released" });
    }
    if (changed || reply) this.#changed(room);
    if (gap) this.#emit("gap", { roomId: room.roomId });
  }

  /** @param {Frame} frame @param {Request | undefined} request @param {RoomState | undefined} room */
  #refused(frame, request, room) {
    const { room_id: roomId, seat_id: seatId } = request?.frame ?? frame;
    const requestType = request?.frame.type ?? frame.request_type;
    const outcome = /** @type {Refusal} */ (toOutcome(frame));
    if (outcome.code === "rate_limited") this.#pace.pause(outcome.retryAfterMs ?? 0);
    if (room) this.#changed(room);
    this.#emit("refused", { roomId, seatId, requestType, ...withoutOk(outcome) });
  }

  /** Replies come in the order of the requests; the first that this frame can answer is the one. @param {Frame} frame */
  #takeRequest(frame) {
    const index = this.#inFlight.findIndex((request) => answers(request.frame, frame, this.clientId));
    if (index < 0) return undefined;
    const taken = this.#inFlight.splice(0, index + 1);
    for (const { frame: asked } of taken) {
      if (asked.seat_id !== undefined) this.room(asked.room_id).pending.delete(asked.seat_id);
    }
    const request = taken.pop();
    for (const skipped of taken) {
      this.#settle(skipped, UNANSWERED);
      if (skipped.frame.seat_id !== undefined) this.#changed(this.room(skipped.frame.room_id));
    }
    return request;
  }

  /** @param {Request} request @param {Outcome} outcome */
  #settle({ frame: asked, resolve }, outcome) {
    resolve(outcome);
    const room = this.#rooms.get(asked.room_id);
    if (!room) return;
    const hold = room.wanted.get(asked.seat_id);
    const passing = !outcome.ok && isPassing(outcome);
    if (outcome.ok && asked.seat_id === undefined) this.#pace.rouse(room.roomId);
    // After `rate_limited` there is rest enough; what the user asks for in vain does not keep the module from its work.
    const rest = asked.seat_id === undefined || (hold !== undefined && passing);
    if (!outcome.ok && outcome.code !== "rate_limited" && rest) this.#pace.rest(room.roomId, passing);
    if (hold === undefined) return;
    if (passing) hold.why = outcome;
    else room.wanted.delete(asked.seat_id);
    this.#changed(room);
    if (!outcome.ok && !passing) this.#emit("lost", this.#giveUp(room, asked.seat_id, outcome));
  }

  /** @param {unknown} text */
  #learnTime(text) {
    const sample = typeof text === "string" ? Date.parse(text) - Date.now() : Number.NaN;
    if (Number.isNaN(sample)) return;
    if (this.#clockIsOld || sample > this.#clockOffset) this.#clockOffset = sample;
    this.#clockIsOld = false;
  }

  /** A whole tick without a word after a ping, or a request that nobody answers: dead, whatever the system believes. */
  #beat() {
    if (this.#pace.paused) return;
    this.#quietTicks += 1;
    for (const request of this.#inFlight) request.beats += 1;
    if (this.#quietTicks > 1) this.#link.drop("no sign of life");
    else if (this.#inFlight[0]?.beats > ANSWER_BEATS) this.#link.drop("requests are not answered");
    else void this.#request({ type: "ping" });
  }

  /** @param {RoomState} room */
  #changed(room) {
    room.version += 1;
    this.#emit("change", { roomId: room.roomId });
  }

  /** @param {string} type @param {object} detail */
  #emit(type, detail) {
    this.#untold.push(new CustomEvent(type, { detail }));
    if (this.#changing === 0) this.#tell();
  }

  /** Runs `act` and tells of what it changed when all of it is done. @template T @param {() => T} act @returns {T} */
  #whole(act) {
    this.#changing += 1;
    try {
      return act();
    } finally {
      this.#changing -= 1;
      if (this.#changing === 0) this.#tell();
    }
  }

  /** In order, also when a listener changes something: what it does is told after what was told to it. */
  #tell() {
    for (let event = this.#untold.shift(); event; event = this.#untold.shift()) this.dispatchEvent(event);
  }
}

const ID_RULE = "ids: 1 to 128 bytes of well-formed text without control and invisible characters";
const UNANSWERED = refusal("unanswered", "no answer came");
const EXPIRED = refusal("expired", "its time was over before it could be asked for again");
const DISCONNECTED = refusal("disconnected", "the connection that held it has ended");

/** @param {Refusal} refused */
function withoutOk({ ok: _, ...rest }) {
  return rest;
}

/** @param {string} text */
function bytesOf(text) {
  return new TextEncoder().encode(text).length;
}
