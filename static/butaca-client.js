/**
 * The seat-selection protocol (v1) for browsers and any JavaScript with a WebSocket. No dependency.
 *
 * Owns: one connection, the requests in flight on it, and a copy of every joined room (`RoomState`).
 * Invariants:
 *   - A seat is `mine` only after the server's answer; a request in flight shows as `pending`, a refusal rolls it back.
 *   - A hole in a room's events asks for the full state again; after a reconnection every room is joined again.
 *   - Nothing that belongs to an earlier socket (event, timer, answer) touches the state of the present one.
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
 *   `status` StatusDetail · `change` {roomId} · `refused` {roomId?, seatId?, requestType, code, message} ·
 *   `ended` {roomId, seatId, reason}: an own hold ended unasked · `lost` {roomId, seatId, code, message}: an own hold did
 *   not come back after a reconnection · `gap` {roomId} · `message` {direction: "in" | "out", frame}.
 *
 * @import { Frame, Hold } from "./butaca-room.js"
 * @typedef {{ ok: true, frame: Frame } | { ok: false, code: string, message: string }} Outcome
 * @typedef {"idle" | "connecting" | "open" | "waiting" | "closed"} Status  `waiting`: for the next attempt.
 * @typedef {{ status: Status, attempt: number, retryInMs?: number, code?: number, reason?: string }} StatusDetail
 * @typedef {{ frame: Frame, resolve: (outcome: Outcome) => void, sentAt: number }} Request
 *
 * @typedef {object} Options
 * @property {string} url  `ws://host:port`, without a path.
 * @property {string} clientId  1 to 128 bytes of UTF-8; a display name, not a credential.
 * @property {Record<string, unknown>} [userInfo]  Shown to the others with each seat.
 * @property {boolean} [reclaim]  After a reconnection, ask again for the seats that were mine (default true).
 * @property {number} [retryMinMs]  First back-off (default 500).
 * @property {number} [retryMaxMs]  Longest back-off (default 15000).
 * @property {number} [heartbeatMs]  How often an idle connection is asked for a sign of life (default 20000).
 * @property {typeof WebSocket} [WebSocket]  For environments without a global one.
 */

import { RoomState } from "./butaca-room.js";

export { RoomState };

const OPEN = 1;
const GOING_AWAY = 1001;

/** One connection that comes back by itself, and the rooms on it. */
export class ButacaClient extends EventTarget {
  /** @type {Status} */ status = "idle";
  /** @type {WebSocket | undefined} */ #socket;
  /** @type {Request[]} */ #inFlight = [];
  /** @type {Map<string, RoomState>} */ #rooms = new Map();
  /** Seats to ask for again, by room. @type {Map<string, Map<string, Hold>>} */ #lost = new Map();
  /** Rooms the user wants to be in. @type {Set<string>} */ #wanted = new Set();
  #attempt = 0;
  #quietTicks = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #retryTimer;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #heartbeat;
  /** Server time minus local time; the largest sample is the one that travelled the shortest. */
  #clockOffset = Number.NEGATIVE_INFINITY;

  /** @param {Options} options */
  constructor(options) {
    super();
    if (!isValidId(options.clientId)) throw new RangeError("clientId: 1 to 128 bytes without control characters");
    this.options = { reclaim: true, retryMinMs: 500, retryMaxMs: 15_000, heartbeatMs: 20_000, ...options };
    this.clientId = options.clientId;
    this.userInfo = options.userInfo ?? {};
  }

  /** The copy of a room; it exists from the first `join`, `select` or `room` on. @param {string} roomId */
  room(roomId) {
    let room = this.#rooms.get(roomId);
    if (!room) this.#rooms.set(roomId, (room = new RoomState(roomId, this.clientId)));
    return room;
  }

  /** Opens the connection, and opens it again whenever it is lost, until `close`. */
  connect() {
    if (this.status === "connecting" || this.status === "open") return;
    clearTimeout(this.#retryTimer);
    const Socket = this.options.WebSocket ?? globalThis.WebSocket;
    const socket = new Socket(`${this.options.url.replace(/\/+$/, "")}/ws/${encodeURIComponent(this.clientId)}`);
    this.#socket = socket;
    this.#setStatus({ status: "connecting", attempt: this.#attempt });
    // A socket that has been replaced keeps its handlers; they must find that they are no longer meant.
    socket.onopen = () => socket === this.#socket && this.#opened();
    socket.onmessage = (event) => socket === this.#socket && this.#received(String(event.data));
    socket.onerror = () => {}; // It says nothing; a close event follows.
    socket.onclose = (event) => socket === this.#socket && this.#dropped(event.code, event.reason);
  }

  /** Ends the connection for good; the server releases its holds. */
  close() {
    clearTimeout(this.#retryTimer);
    const socket = this.#socket;
    this.#forgetSocket(false);
    socket?.close(1000);
    this.#attempt = 0;
    this.#setStatus({ status: "closed", attempt: 0 });
  }

  /** @param {string} roomId @returns {Promise<Outcome>} */
  join(roomId) {
    this.#wanted.add(roomId);
    this.room(roomId);
    return this.#request({ type: "join_room", room_id: roomId });
  }

  /** Holds are kept; release them first where they should not be. @param {string} roomId @returns {Promise<Outcome>} */
  leave(roomId) {
    this.#wanted.delete(roomId);
    return this.#request({ type: "leave_room", room_id: roomId });
  }

  /**
   * @param {string} roomId @param {string} seatId @param {Record<string, unknown>} [userInfo]
   * @returns {Promise<Outcome>}
   */
  select(roomId, seatId, userInfo = this.userInfo) {
    return this.#request({ type: "select_seat", room_id: roomId, seat_id: seatId, user_info: userInfo });
  }

  /** @param {string} roomId @param {string} seatId @returns {Promise<Outcome>} */
  release(roomId, seatId) {
    return this.#request({ type: "release_seat", room_id: roomId, seat_id: seatId });
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
    const socket = this.#socket;
    if (this.status !== "open" || socket?.readyState !== OPEN) {
      return Promise.resolve({ ok: false, code: "offline", message: "not connected" });
    }
    if (frame.seat_id !== undefined) {
      const room = this.room(frame.room_id);
      if (room.pending.has(frame.seat_id)) {
        return Promise.resolve({ ok: false, code: "busy", message: "a request for this seat is in flight" });
      }
      room.pending.set(frame.seat_id, frame.type === "select_seat" ? "select_seat" : "release_seat");
      this.#changed(room);
    }
    return new Promise((resolve) => {
      this.#inFlight.push({ frame, resolve, sentAt: Date.now() });
      socket.send(JSON.stringify(frame));
      this.#emit("message", { direction: "out", frame });
    });
  }

  #opened() {
    this.#clockOffset = Number.NEGATIVE_INFINITY;
    this.#quietTicks = 0;
    this.#setStatus({ status: "open", attempt: this.#attempt });
    this.#heartbeat = setInterval(() => this.#beat(), this.options.heartbeatMs);
    for (const roomId of this.#wanted) void this.#rejoin(roomId);
  }

  /** @param {string} roomId */
  async #rejoin(roomId) {
    const lost = this.#lost.get(roomId) ?? new Map();
    this.#lost.delete(roomId);
    const joining = this.#request({ type: "join_room", room_id: roomId });
    // Requests are applied in order: what a restarted server kept for this name is adopted by the join before these.
    const asked = [...lost].filter(([, hold]) => this.remaining(hold) !== 0);
    const outcomes = asked.map(([seatId, hold]) => this.select(roomId, seatId, hold.userInfo));
    await joining;
    for (const [index, [seatId]] of asked.entries()) {
      const outcome = await outcomes[index];
      if (!outcome.ok) this.#emit("lost", { roomId, seatId, code: outcome.code, message: outcome.message });
    }
  }

  /** @param {string} text */
  #received(text) {
    this.#quietTicks = 0;
    this.#attempt = 0;
    const frame = parse(text);
    this.#emit("message", { direction: "in", frame: frame ?? { type: "?", text } });
    if (!frame) return;
    this.#learnTime(frame.type === "pong" ? frame.timestamp : frame.now);
    const request = this.#takeRequest(frame);
    const roomId = frame.room_id ?? frame.selections?.[0]?.room_id;
    if (frame.type === "error") this.#refused(frame, request);
    else if (typeof roomId === "string") this.#apply(this.room(roomId), frame, request);
    request?.resolve(toOutcome(frame));
  }

  /** @param {RoomState} room @param {Frame} frame @param {Request | undefined} request */
  #apply(room, frame, request) {
    const reply = request !== undefined;
    const before = frame.seat_id === undefined ? undefined : room.holds.get(frame.seat_id);
    const shown = reply && frame.type === "seat_selected" ? { ...frame, user_info: request.frame.user_info } : frame;
    const { changed, gap } = room.apply(shown, reply);
    if (changed && frame.type === "seat_released" && before?.own && !reply) {
      this.#emit("ended", { roomId: room.roomId, seatId: frame.seat_id, reason: frame.reason ?? "released" });
    }
    if (changed || reply) this.#changed(room);
    if (gap) {
      room.resyncing = true;
      this.#emit("gap", { roomId: room.roomId });
      void this.#request({ type: "join_room", room_id: room.roomId });
    }
  }

  /** @param {Frame} frame @param {Request | undefined} request */
  #refused(frame, request) {
    const { room_id: roomId, seat_id: seatId, type: requestType } = request?.frame ?? frame;
    if (roomId !== undefined) {
      const room = this.room(roomId);
      if (requestType === "join_room") room.resyncing = false;
      this.#changed(room);
    }
    this.#emit("refused", { roomId, seatId, requestType, code: frame.code ?? "error", message: frame.message ?? "" });
  }

  /** Replies come in the order of the requests; the first one that this frame can answer is the one. @param {Frame} frame */
  #takeRequest(frame) {
    const index = this.#inFlight.findIndex((request) => answers(request.frame, frame, this.clientId));
    if (index < 0) return undefined;
    const taken = this.#inFlight.splice(0, index + 1);
    for (const { frame: asked } of taken) if (asked.seat_id) this.room(asked.room_id).pending.delete(asked.seat_id);
    const request = taken.pop();
    for (const skipped of taken) skipped.resolve({ ok: false, code: "unanswered", message: "no answer came" });
    return request;
  }

  /** @param {unknown} text */
  #learnTime(text) {
    const sample = typeof text === "string" ? Date.parse(text) - Date.now() : Number.NaN;
    if (sample > this.#clockOffset) this.#clockOffset = sample;
  }

  /** A whole tick without a word after a ping: the connection is dead, whatever the system believes. */
  #beat() {
    this.#quietTicks += 1;
    if (this.#quietTicks > 1) {
      const socket = this.#socket;
      this.#dropped(GOING_AWAY, "no sign of life");
      socket?.close();
    } else {
      void this.#request({ type: "ping" });
    }
  }

  /** @param {number} code @param {string} reason */
  #dropped(code, reason) {
    this.#forgetSocket(this.options.reclaim);
    const { retryMinMs, retryMaxMs } = this.options;
    // Half fixed, half random: thousands that were dropped together do not come back together.
    const span = Math.min(retryMaxMs, retryMinMs * 2 ** this.#attempt);
    const retryInMs = Math.round(span / 2 + (Math.random() * span) / 2);
    this.#attempt = Math.min(this.#attempt + 1, 30);
    this.#retryTimer = setTimeout(() => this.connect(), retryInMs);
    this.#setStatus({ status: "waiting", attempt: this.#attempt, retryInMs, code, reason });
  }

  /** @param {boolean} reclaim */
  #forgetSocket(reclaim) {
    clearInterval(this.#heartbeat);
    this.#socket = undefined;
    this.status = "closed";
    if (!reclaim) this.#lost.clear();
    for (const room of this.#rooms.values()) {
      const own = new Map(room.own().map(([seatId, hold]) => [seatId, { ...hold }]));
      if (reclaim && own.size > 0) this.#lost.set(room.roomId, own);
      room.disconnect();
      this.#changed(room);
    }
    for (const request of this.#inFlight.splice(0)) {
      request.resolve({ ok: false, code: "offline", message: "the connection was lost" });
    }
  }

  /** @param {StatusDetail} detail */
  #setStatus(detail) {
    this.status = detail.status;
    this.#emit("status", detail);
  }

  /** @param {RoomState} room */
  #changed(room) {
    room.version += 1;
    this.#emit("change", { roomId: room.roomId });
  }

  /** @param {string} type @param {object} detail */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Ids of clients, rooms and seats: 1 to 128 bytes of UTF-8 without control characters. @param {unknown} text */
export function isValidId(text) {
  if (typeof text !== "string" || /[\u0000-\u001f\u007f-\u009f]/.test(text)) return false;
  const bytes = new TextEncoder().encode(text).length;
  return bytes >= 1 && bytes <= 128;
}

/** @param {Frame} frame @returns {Outcome} */
function toOutcome(frame) {
  if (frame.type !== "error") return { ok: true, frame };
  return { ok: false, code: frame.code ?? "error", message: frame.message ?? "" };
}

/** @param {string} text @returns {Frame | undefined} */
function parse(text) {
  try {
    const frame = JSON.parse(text);
    return typeof frame?.type === "string" ? frame : undefined;
  } catch {
    return undefined;
  }
}

/** Whether `frame` can be the answer to `asked`. @param {Frame} asked @param {Frame} frame @param {string} clientId */
function answers(asked, frame, clientId) {
  const sameSeat = frame.room_id === asked.room_id && frame.seat_id === asked.seat_id && frame.client_id === clientId;
  switch (frame.type) {
    case "room_joined":
      return asked.type === "join_room" && frame.room_id === asked.room_id;
    case "room_left":
      return asked.type === "leave_room" && frame.room_id === asked.room_id;
    case "seat_selected":
      // The others' events carry `user_info`, also those of another connection with the same name; a reply has none.
      return asked.type === "select_seat" && sameSeat && frame.user_info === undefined;
    case "seat_released":
      return asked.type === "release_seat" && sameSeat && (frame.reason ?? "released") === "released";
    case "pong":
      return asked.type === "ping";
    case "error":
      return (
        (frame.request_type ?? asked.type) === asked.type &&
        (frame.room_id ?? asked.room_id) === asked.room_id &&
        (frame.seat_id ?? asked.seat_id) === asked.seat_id
      );
    default:
      return false;
  }
}
