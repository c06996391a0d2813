/**
 * What a client says and hears in v1 of the protocol: one seat a request, every event of a room one frame.
 *
 * Owns: the requests in flight on one connection, and a copy of every room that it has to do with (`RoomState`).
 * Invariants:
 *   - A seat is `mine` only after the server's answer; a request in flight shows as `pending`, a refusal rolls it back.
 *   - A hole in a room's events asks for the full state again; after a reconnection every room is joined again, with the
 *     proof (`resume`) that the last connection was given.
 *   - What was held when a connection was lost is asked for again, in every room, or told as `lost`. So no seat stays
 *     `pending`: an answer, the end of the connection, the heartbeat or the end of the hold settles it.
 * Never here: the socket, the DOM, texts for people, v2.
 *
 * @import { Frame, Wanted } from "./butaca-room.js"
 * @import { Outcome, Refusal } from "./butaca-protocol.js"
 * @import { Host } from "./butaca-client.js"
 * @typedef {import("./butaca-link.js").StatusDetail} StatusDetail
 * @typedef {{ frame: Frame, resolve: (outcome: Outcome) => void, beats: number }} Request
 */

import { ServerClock } from "./butaca-clock.js";
import {
  ANSWER_BEATS, answers, bytesOf, DISCONNECTED, encode, EXPIRED, ID_RULE, IN_FLIGHT_MAX, isOwnSelect, isPassing, isValidId,
  refusal, toOutcome, UNANSWERED, withoutOk,
} from "./butaca-protocol.js";
import { Pace } from "./butaca-pace.js";
import { RoomState } from "./butaca-room.js";

/** How often a seat of before an interruption is asked for until it counts as lost. */
const RECLAIMS_MAX = 5;

export class SpeakerV1 {
  /** @type {Host} */ #host;
  /** @type {Request[]} */ #inFlight = [];
  /** @type {Map<string, RoomState>} */ #rooms = new Map();
  /** Rooms the user wants to be in. @type {Set<string>} */ #wanted = new Set();
  /** What proves after a restart of the server who held the seats. @type {string | undefined} */ #resume;
  #pace = new Pace(() => this.#whole(() => this.#work()));
  #quietTicks = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #heartbeat;
  clock = new ServerClock();

  /** @param {Host} host */
  constructor(host) {
    this.#host = host;
  }

  /** The rooms that the user wants to be in. */
  get wanted() {
    return [...this.#wanted];
  }

  /** The copy of a room; it exists from the first `join`, `select` or `room` on. @param {string} roomId */
  room(roomId) {
    let room = this.#rooms.get(roomId);
    if (!room) this.#rooms.set(roomId, (room = new RoomState(roomId, this.#host.clientId)));
    return room;
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
    return this.#request({ type: "join_room", room_id: roomId, ...this.#proof(this.#rooms.get(roomId), "join_room") });
  }

  /** Holds are kept; release them first where they should not be. @param {string} roomId @returns {Promise<Outcome>} */
  leave(roomId) {
    return this.#whole(() => {
      const room = this.#rooms.get(roomId);
      this.#wanted.delete(roomId);
      if (room && this.#host.link.status !== "open") {
        room.left();
        this.#changed(room);
      }
      return this.#request({ type: "leave_room", room_id: roomId });
    });
  }

  /**
   * @param {string} roomId @param {string | string[]} seatId @param {Record<string, unknown>} [userInfo]
   * @returns {Promise<Outcome>}
   */
  select(roomId, seatId, userInfo = this.#host.userInfo()) {
    if (Array.isArray(seatId)) {
      if (seatId.length !== 1) return Promise.resolve(refusal("unsupported", "v1 takes one seat a request"));
      return this.select(roomId, seatId[0], userInfo);
    }
    return this.#request({ type: "select_seat", room_id: roomId, seat_id: seatId, user_info: userInfo });
  }

  /**
   * Without a connection: the seat is not asked for again when there is one. Several: the first refusal is the outcome.
   * @param {string} roomId @param {string | string[]} seatId @returns {Promise<Outcome>}
   */
  async release(roomId, seatId) {
    if (!Array.isArray(seatId)) return this.#release(roomId, seatId);
    const outcomes = await Promise.all(seatId.map((each) => this.#release(roomId, each)));
    return outcomes.find(({ ok }) => !ok) ?? outcomes[0] ?? refusal("bad_request", "no seat");
  }

  /** @param {string} roomId @returns {Promise<Outcome>} */
  async releaseAll(roomId) {
    const room = this.room(roomId);
    const seats = [...room.own().map(([seatId]) => seatId), ...room.wanted.keys()];
    return seats.length === 0 ? refusal("not_held", "nothing is held") : this.release(roomId, seats);
  }

  /** @param {string} roomId @param {string} seatId @returns {Promise<Outcome>} */
  #release(roomId, seatId) {
    return this.#whole(() => {
      const room = this.#rooms.get(roomId);
      if (room?.wanted.delete(seatId)) this.#changed(room);
      return this.#request({ type: "release_seat", room_id: roomId, seat_id: seatId });
    });
  }

  /** What only v2 has: the best seats, a swap, an extension. @returns {Promise<Outcome>} */
  unsupported() {
    return Promise.resolve(refusal("unsupported", "the server speaks v1, which has no carts"));
  }

  /** Milliseconds to the server and back, or undefined. @returns {Promise<number | undefined>} */
  async ping() {
    const sentAt = Date.now();
    const outcome = await this.#request({ type: "ping" });
    return outcome.ok ? Date.now() - sentAt : undefined;
  }

  /** @param {{ expiresAt?: number }} seat */
  remaining(seat) {
    return this.clock.remaining(seat.expiresAt);
  }

  /** @param {Frame} frame @returns {Promise<Outcome>} */
  #request(frame) {
    const message = encode(frame);
    const problem = this.#problem(frame, message?.text);
    if (problem || !message) return Promise.resolve(problem ?? refusal("bad_request", "JSON cannot hold this"));
    const { text, sent } = message;
    if (!this.#host.link.send(text)) return Promise.resolve(refusal("offline", "not connected"));
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
    if (text !== undefined && bytesOf(text) > this.#host.options.messageBytesMax) {
      return refusal("bad_request", `the message is longer than ${this.#host.options.messageBytesMax} bytes`);
    }
    if (this.#host.link.status !== "open") return refusal("offline", "not connected");
    if (this.#pace.paused) {
      const refused = { ...refusal("rate_limited", "too many messages"), retryAfterMs: this.#pace.pauseLeft };
      if (seatId !== undefined) this.#emit("refused", { roomId, seatId, requestType: type, ...withoutOk(refused) });
      return refused;
    }
    if (this.#rooms.get(roomId)?.pending.has(seatId)) return refusal("busy", "a request for this seat is in flight");
    if (this.#inFlight.length >= IN_FLIGHT_MAX) return refusal("busy", "too many requests are in flight");
    return undefined;
  }

  /** The connection has changed. @param {StatusDetail} detail */
  status(detail) {
    if (detail.status === "open") this.#opened(detail);
    else if (detail.status === "connecting") this.#emit("status", detail);
    else this.#down(detail);
  }

  /** The server speaks another version now: what was to be asked for again is lost. */
  abandon() {
    const lost = [];
    for (const room of this.#rooms.values()) {
      room.disconnect(true);
      for (const seatId of [...room.wanted.keys()]) lost.push(this.#giveUp(room, seatId, DISCONNECTED));
      this.#changed(room);
    }
    this.#wanted.clear();
    for (const each of lost) this.#emit("lost", each);
  }

  /** @param {StatusDetail} detail */
  #opened(detail) {
    this.clock.begin();
    this.#quietTicks = 0;
    this.#heartbeat = setInterval(() => this.#beat(), this.#host.options.heartbeatMs);
    this.#pace.begin();
    this.#emit("status", detail);
    this.#work();
  }

  /** The connection is gone, or another attempt was in vain. @param {StatusDetail} detail */
  #down(detail) {
    clearInterval(this.#heartbeat);
    this.#pace.stop();
    const again = detail.status === "waiting" && this.#host.options.reclaim;
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
    if (!underWay && this.#mayAsk()) void this.#request({ type, room_id: room.roomId, ...this.#proof(room, type) });
  }

  /** Who asks for the state again is known by its connection. @param {RoomState | undefined} room @param {string} type */
  #proof(room, type) {
    return this.#resume !== undefined && type === "join_room" && !room?.joined ? { resume: this.#resume } : {};
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
    return this.#host.link.status === "open" && this.#pace.mayAsk();
  }

  /** @param {RoomState} room @param {string} seatId @param {Refusal} why */
  #giveUp(room, seatId, { code, message }) {
    room.wanted.delete(seatId);
    return { roomId: room.roomId, seatId, code, message };
  }

  /** Something was heard. */
  alive() {
    this.#quietTicks = 0;
  }

  /** @param {Frame} frame */
  receive(frame) {
    this.clock.learn(frame.type === "pong" ? frame.timestamp : frame.now);
    if (frame.type === "room_joined" && typeof frame.resume === "string") this.#resume = frame.resume;
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
    const late = request === undefined && isOwnSelect(frame, this.#host.clientId) && room.isNews(frame);
    const reply = request !== undefined || late;
    const before = room.holds.get(frame.seat_id);
    const info = late ? this.#host.userInfo() : request?.frame.user_info;
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
    const index = this.#inFlight.findIndex((request) => answers(request.frame, frame, this.#host.clientId));
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

  /** A whole tick without a word after a ping, or a request that nobody answers: dead, whatever the system believes. */
  #beat() {
    if (this.#pace.paused) return;
    this.#quietTicks += 1;
    for (const request of this.#inFlight) request.beats += 1;
    if (this.#quietTicks > 1) this.#host.link.drop("no sign of life");
    else if (this.#inFlight[0]?.beats > ANSWER_BEATS) this.#host.link.drop("requests are not answered");
    else void this.#request({ type: "ping" });
  }

  /** @param {RoomState} room */
  #changed(room) {
    room.version += 1;
    this.#emit("change", { roomId: room.roomId });
  }

  /** @param {string} type @param {object} detail */
  #emit(type, detail) {
    this.#host.emit(type, detail);
  }

  /** @template T @param {() => T} act @returns {T} */
  #whole(act) {
    return this.#host.whole(act);
  }
}
