/**
 * What a client says and hears in v2 of the protocol: a cart, one delta a tick, a session that outlives connections.
 *
 * Owns: the requests in flight on one connection, the greeting, the session, a copy of every room (`RoomMap`).
 * Invariants:
 *   - A connection is `open` when it is greeted: `hello`, then the token where one is asked for, then the session of
 *     before. Until then, and without a connection, requests are refused with `offline`; only joins are remembered.
 *   - Every request has an `id` and is settled once. Replies come in order, so what was passed over is `unanswered`.
 *   - After an interruption each room is joined from where its copy stands; a hole in the deltas asks for a snapshot.
 *   - What was in a cart before an interruption is in it afterwards, or told as `lost`.
 * Never here: the socket, the DOM, texts for people, v1.
 *
 * @import { Frame } from "./butaca-room.js"
 * @import { Outcome, Refusal } from "./butaca-protocol.js"
 * @import { Layout, Step } from "./butaca-map.js"
 * @import { Ask } from "./butaca-asks.js"
 * @import { BestQuery, Host } from "./butaca-client.js"
 * @typedef {import("./butaca-link.js").StatusDetail} StatusDetail
 * @typedef {import("./butaca-requests.js").Request} Request
 */

import { releaseSeats, selectBest, selectSeats } from "./butaca-asks.js";
import { ServerClock } from "./butaca-clock.js";
import { Layouts } from "./butaca-layouts.js";
import { RoomMap } from "./butaca-map.js";
import { Pace } from "./butaca-pace.js";
import {
  bytesOf, DISCONNECTED, encode, ID_RULE, isPassing, isValidId, lostBy, refusal, timeOf, toOutcome, UNANSWERED, withoutOk,
} from "./butaca-protocol.js";
import { Requests } from "./butaca-requests.js";
import { Session } from "./butaca-session.js";
import { TokenSource } from "./butaca-token.js";

const TOKEN_INVALID = 4500;
/** What the server may ask for when it says `goaway`. */
const MOVE_MS_MAX = 60_000;
/** Reasons for which a seat leaves a cart although nobody here asked for it, and belongs to nobody here any more. */
const TAKEN_AWAY = new Set(["expired", "disconnected", "released_by_operator", "cancelled", "payment_failed", "room_deleted"]);

export class SpeakerV2 {
  /** @type {Host} */ #host;
  /** @type {Session} */ session;
  /** @type {Map<string, RoomMap>} */ #rooms = new Map();
  /** Rooms the user wants to be in. @type {Set<string>} */ #wanted = new Set();
  #inFlight = new Requests();
  #nextId = 1;
  #pace = new Pace(() => this.#whole(() => this.#work()));
  #quietTicks = 0;
  /** @type {ReturnType<typeof setInterval> | undefined} */ #heartbeat;
  /** The present connection has said `hello`. */
  #greeted = false;
  /** Grows with every connection: what was begun on an earlier one ends in nothing. */
  #connection = 0;
  /** @type {TokenSource} */ #token;
  /** @type {Layouts} */ #layouts;
  clock = new ServerClock();

  /** @param {Host} host */
  constructor(host) {
    this.#host = host;
    const { url, storage, fetch, layouts, token } = host.options;
    this.#token = new TokenSource(token);
    this.session = new Session(`${url} ${host.clientId}`, storage);
    this.#layouts = new Layouts(url, layouts ? fetch : null, (roomId, layout) => {
      this.#whole(() => this.useLayout(roomId, layout));
    });
  }

  /** The rooms that the user wants to be in. */
  get wanted() {
    return [...this.#wanted];
  }

  /** The copy of a room. @param {string} roomId */
  room(roomId) {
    let room = this.#rooms.get(roomId);
    if (!room) this.#rooms.set(roomId, (room = new RoomMap(roomId)));
    return room;
  }

  /** @param {string} roomId @returns {Promise<Outcome>} */
  join(roomId) {
    if (!isValidId(roomId)) return Promise.resolve(refusal("bad_request", ID_RULE));
    this.#wanted.add(roomId);
    return this.#request(this.#joinOf(this.room(roomId)));
  }

  /** @param {string} roomId @returns {Promise<Outcome>} */
  leave(roomId) {
    return this.#whole(() => {
      this.#wanted.delete(roomId);
      const room = this.#rooms.get(roomId);
      if (room && !this.#isOpen) {
        room.left();
        this.#changed(room);
      }
      return this.#request({ type: "leave_room", room_id: roomId });
    });
  }

  /**
   * @param {string} roomId @param {string | string[]} seats @param {Record<string, unknown>} userInfo
   * @param {string[]} [release] @returns {Promise<Outcome>}
   */
  select(roomId, seats, userInfo, release) {
    return this.#asked(selectSeats(roomId, seats, userInfo, release));
  }

  /** @param {string} roomId @param {number | BestQuery} query @param {Record<string, unknown>} userInfo */
  selectBest(roomId, query, userInfo) {
    return this.#asked(selectBest(roomId, query, userInfo));
  }

  /** @param {string} roomId @param {string | string[]} seats @returns {Promise<Outcome>} */
  release(roomId, seats) {
    return this.#asked(releaseSeats(roomId, seats));
  }

  /** @param {string} roomId @returns {Promise<Outcome>} */
  releaseAll(roomId) {
    return this.#request({ type: "release_seats", room_id: roomId, all: true }, this.room(roomId).cart.seats);
  }

  /** @param {string} roomId @returns {Promise<Outcome>} */
  extend(roomId) {
    return this.#request({ type: "extend_hold", room_id: roomId });
  }

  /** @param {string} token @returns {Promise<Outcome>} */
  authenticate(token) {
    return this.#request({ type: "auth", token });
  }

  /** Milliseconds to the server and back, or undefined. @returns {Promise<number | undefined>} */
  async ping() {
    const sentAt = Date.now();
    const outcome = await this.#request({ type: "ping" });
    return outcome.ok ? Date.now() - sentAt : undefined;
  }

  /** @param {string} roomId @param {Layout} layout */
  useLayout(roomId, layout) {
    const room = this.room(roomId);
    if (room.useLayout(layout)) this.#changed(room);
  }

  /** The connection has changed. @param {StatusDetail} detail */
  status(detail) {
    if (detail.status === "open") this.#opened(detail);
    else if (detail.status === "connecting") this.#emit("status", detail);
    else this.#down(detail);
  }

  /** The server speaks another version now, which knows nothing of this session. */
  abandon() {
    this.session.forget();
    this.session.yield();
    this.#wanted.clear();
    for (const room of this.#rooms.values()) {
      room.left();
      this.#dropCart(room, DISCONNECTED);
      this.#changed(room);
    }
  }

  /** Something was heard. */
  alive() {
    this.#quietTicks = 0;
  }

  /** @param {Frame} frame */
  receive(frame) {
    this.clock.learn(frame.now);
    if (frame.type === "hello" && !this.#greeted) return this.#greet(frame);
    const request = this.#take(frame);
    if (frame.type === "error") this.#refused(frame, request);
    else if (frame.type === "goaway") this.#goaway(frame);
    else if (typeof frame.room_id === "string") this.#apply(frame);
    if (request) this.#settle(request, { ...toOutcome(frame), frame });
    this.#work();
  }

  get #isOpen() {
    return this.#host.link.status === "open";
  }

  /** The first word of a connection. @param {Frame} hello */
  #greet(hello) {
    this.#greeted = true;
    this.session.claim();
    this.clock.begin();
    this.clock.learn(hello.now);
    if (hello.auth === "required") void this.#present(hello, this.#connection);
    else this.#continue(hello);
  }

  /** Shows the shop's token. @param {Frame} hello @param {number} connection */
  async #present(hello, connection) {
    const text = await this.#token.next();
    this.#whole(() => {
      if (connection !== this.#connection) return;
      if (text === undefined) return this.#host.link.fail(TOKEN_INVALID, "the server asks for a token, and there is none");
      this.#send({ type: "auth", token: text }, [], (outcome) => {
        if (outcome.ok) this.#continue(hello);
        else if (outcome.code !== "offline") this.#host.link.fail(TOKEN_INVALID, outcome.code);
      });
    });
  }

  /** Continues the session of before, where there is one. @param {Frame} hello  That of the fresh session. */
  #continue(hello) {
    const proof = this.session.proof;
    if (!proof) return this.#begin(hello, new Set());
    this.#send({ type: "resume", session_token: proof.token, rooms: proof.rooms }, [], (outcome) => {
      if (outcome.ok) this.#begin(outcome.frame, new Set(proof.rooms));
      else if (isPassing(outcome)) this.#host.link.drop(outcome.code);
      else {
        this.session.forget();
        this.#begin(hello, new Set());
      }
    });
  }

  /** @param {Frame} hello @param {Set<string>} named  Rooms whose carts were asked for. */
  #begin(hello, named) {
    this.session.keep(hello.session_id, hello.session_token, hello.grace_ms);
    const resumed = hello.resumed === true;
    /** @type {[string, Frame][]} */
    const told = Array.isArray(hello.carts) ? hello.carts.map((/** @type {any} */ each) => [each?.room_id, each?.cart ?? each]) : [];
    const carts = new Map(resumed ? told.filter(([roomId]) => isValidId(roomId)) : []);
    for (const roomId of [...named, ...carts.keys()]) this.room(roomId);
    for (const room of this.#rooms.values()) {
      // Of a room that was not named the next request there tells; so it does where a token says whose the carts are.
      const unknown = (resumed || hello.auth !== "off") && !named.has(room.roomId) && !carts.has(room.roomId);
      if (!unknown) this.#resumeCart(room, carts.get(room.roomId));
    }
    this.#emit("session", { sessionId: this.session.id, resumed });
    this.#host.link.ready();
  }

  /** @param {RoomMap} room @param {Frame | undefined} told */
  #resumeCart(room, told) {
    if (told === undefined && !room.holdsAnything) return void this.session.holds(room.roomId, false);
    const step = room.takeCart(told ?? { type: "cart" }, "resumed");
    this.#told(room, { changed: true, gap: false, cart: step });
    this.#lostOf(room, step.gone);
  }

  /** What left a cart while nobody listened, and is in no order. @param {RoomMap} room @param {string[]} gone */
  #lostOf(room, gone) {
    const kept = new Set(room.cart.orders.flatMap((order) => order.seats));
    for (const seatId of gone) if (!kept.has(seatId)) this.#lost(room, seatId, DISCONNECTED);
  }

  /** @param {StatusDetail} detail */
  #opened(detail) {
    this.#quietTicks = 0;
    this.#heartbeat = setInterval(() => this.#whole(() => this.#beat()), this.#host.options.heartbeatMs);
    this.#pace.begin();
    this.#emit("status", detail);
    this.#work();
  }

  /** The connection is gone, or another attempt was in vain. @param {StatusDetail} detail */
  #down(detail) {
    clearInterval(this.#heartbeat);
    this.#token.stop();
    this.#pace.stop();
    this.session.away();
    this.#greeted = false;
    this.#connection += 1;
    if (detail.status === "closed") this.session.yield();
    const requests = this.#inFlight.drain();
    for (const room of this.#rooms.values()) room.disconnect();
    this.#emit("status", detail);
    for (const room of this.#rooms.values()) {
      if (detail.status === "closed") this.#dropCart(room, lostBy(detail.code));
      this.#changed(room);
    }
    for (const request of requests) request.done(refusal("offline", "the connection was lost; the cart will tell what came of it"));
  }

  /**
   * Sends what the module owes the server by itself: joins, snapshots after a hole, leaving what nobody wants to be in.
   * It compares what should be with what is, so calling it once more is harmless.
   */
  #work() {
    if (!this.#isOpen) return;
    for (const room of this.#rooms.values()) {
      if (this.#pace.rests(room.roomId) !== "no") continue;
      const wanted = this.#wanted.has(room.roomId);
      if (wanted && !room.joined) this.#ask(this.#joinOf(room));
      else if (!wanted && room.joined) this.#ask({ type: "leave_room", room_id: room.roomId });
      else if (room.resyncing) this.#ask({ type: "sync", room_id: room.roomId, packed: this.#host.inbox.packed });
    }
  }

  /** @param {RoomMap} room @returns {Frame} */
  #joinOf({ roomId, position }) {
    return { type: "join_room", room_id: roomId, since: position, packed: this.#host.inbox.packed };
  }

  /** @param {Frame} frame */
  #ask(frame) {
    if (!this.#inFlight.has(frame) && this.#pace.mayAsk()) void this.#request(frame);
  }

  /** @param {Ask} ask @returns {Promise<Outcome>} */
  #asked({ frame, seats, problem }) {
    return problem ? Promise.resolve(problem) : this.#request(frame, seats);
  }

  /** @param {Frame} frame @param {string[]} [seats]  Those that show as asked for. @returns {Promise<Outcome>} */
  #request(frame, seats = []) {
    const problem = this.#problem(frame, seats);
    if (problem) return Promise.resolve(problem);
    return new Promise((resolve) => this.#whole(() => this.#send(frame, seats, resolve)));
  }

  /** Why this request is not sent. @param {Frame} frame @param {string[]} seats @returns {Refusal | undefined} */
  #problem({ type, room_id: roomId }, seats) {
    if (type !== "ping" && type !== "auth" && !isValidId(roomId)) return refusal("bad_request", ID_RULE);
    if (!this.#isOpen) return refusal("offline", "not connected");
    if (this.#pace.paused) {
      const paused = { ...refusal("rate_limited", "too many messages"), retryAfterMs: this.#pace.pauseLeft };
      if (seats.length > 0) this.#emit("refused", { roomId, seatId: seats[0], seats, requestType: type, ...withoutOk(paused) });
      return paused;
    }
    const pending = roomId === undefined ? undefined : this.room(roomId).pending;
    if (seats.some((seatId) => pending?.has(seatId))) return refusal("busy", "a request for this seat is in flight");
    return undefined;
  }

  /** @param {Frame} frame @param {string[]} seats @param {(outcome: Outcome) => void} done */
  #send(frame, seats, done) {
    const message = encode({ ...frame, id: this.#nextId });
    if (!message) return done(refusal("bad_request", "JSON cannot hold this"));
    const longest = this.#host.options.messageBytesMax;
    if (bytesOf(message.text) > longest) return done(refusal("bad_request", `the message is longer than ${longest} bytes`));
    if (this.#inFlight.isFull) return done(refusal("busy", "too many requests are in flight"));
    if (!this.#host.link.send(message.text)) return done(refusal("offline", "not connected"));
    this.#nextId += 1;
    // Its reply may be lost with the connection: then the session names this room, and hears what came of it.
    if (frame.type.startsWith("select")) this.session.holds(frame.room_id, true);
    this.#inFlight.add(message.sent, seats, done);
    this.#mark(message.sent, seats, true);
    this.#emit("message", { direction: "out", frame: message.sent });
  }

  /** @param {Frame} frame @param {string[]} seats @param {boolean} asked */
  #mark({ type, room_id: roomId }, seats, asked) {
    if (seats.length === 0) return;
    const room = this.room(roomId);
    for (const seatId of seats) {
      if (asked) room.pending.set(seatId, type === "select_seats" ? "select_seat" : "release_seat");
      else room.pending.delete(seatId);
    }
    this.#changed(room, seats);
  }

  /** The request that this frame answers. @param {Frame} frame */
  #take(frame) {
    const taken = this.#inFlight.take(frame);
    for (const { frame: asked, seats } of taken) this.#mark(asked, seats, false);
    const request = taken.pop();
    for (const skipped of taken) this.#settle(skipped, UNANSWERED);
    return request;
  }

  /** @param {Request} request @param {Outcome} outcome */
  #settle({ frame: asked, seats, done }, outcome) {
    done(outcome);
    const room = this.#rooms.get(asked.room_id);
    if (asked.type === "auth" && outcome.ok) this.#renewLater(outcome.frame);
    if (room && !outcome.ok && asked.type.startsWith("select")) this.#remember(room);
    if (!room || seats.length > 0) return;
    // A whole map that is none: not asked for again at once, unless a plain one is still to be tried.
    if (asked.type === "sync" && outcome.ok) return room.resyncing && !asked.packed ? this.#pace.rest(room.roomId, true) : undefined;
    if (outcome.ok) this.#pace.rouse(room.roomId);
    else if (OWN_WORK.has(asked.type) && outcome.code !== "rate_limited") this.#pace.rest(room.roomId, isPassing(outcome));
  }

  /** @param {Frame} frame */
  #apply(frame) {
    // A cart may be told of a room that nobody here has asked for: another page held it in the same session.
    const room = frame.cart === undefined ? this.#rooms.get(frame.room_id) : this.room(frame.room_id);
    if (!room) return;
    const step = room.apply(frame);
    if (frame.packed !== undefined && room.resyncing) this.#host.inbox.giveUp();
    if (frame.type === "room_joined") this.#layouts.want(room);
    if (frame.type === "room_state" && frame.sale === "deleted") this.#deleted(room);
    this.#told(room, step);
    if (frame.type === "snapshot" || step.cart?.reason === "restored") this.#lostOf(room, step.cart?.gone ?? []);
    if (frame.type === "room_state") this.#emit("room", { roomId: room.roomId, sale: room.sale, message: room.message });
    if (frame.type === "hold_expiring") {
      const leftMs = typeof frame.left_ms === "number" ? frame.left_ms : this.clock.remaining(room.cart.expiresAt);
      this.#emit("expiring", { roomId: room.roomId, cart: room.cart, leftMs });
    }
    if (step.gap) this.#emit("gap", { roomId: room.roomId });
  }

  /** @param {RoomMap} room @param {Step} step */
  #told(room, { changed, seats, cart }) {
    if (changed) this.#changed(room, seats);
    if (!cart) return;
    this.#remember(room);
    this.#emit("cart", { roomId: room.roomId, cart: room.cart, ...cart });
    if (!TAKEN_AWAY.has(cart.reason)) return;
    for (const seatId of cart.gone) this.#emit("ended", { roomId: room.roomId, seatId, reason: cart.reason });
  }

  /** The session names the rooms where it has something, or may have. @param {RoomMap} room */
  #remember(room) {
    this.session.holds(room.roomId, room.holdsAnything || this.#inFlight.mayHold(room.roomId));
  }

  /** A room that is no more is not joined again: that would make it anew. @param {RoomMap} room */
  #deleted(room) {
    this.#wanted.delete(room.roomId);
    const gone = room.dropCart();
    room.left();
    room.sale = "deleted";
    this.#told(room, { changed: true, gap: false, cart: { reason: "room_deleted", gone } });
  }

  /** @param {Frame} frame @param {Request | undefined} request */
  #refused(frame, request) {
    const outcome = /** @type {Refusal} */ (toOutcome(frame));
    if (outcome.code === "rate_limited") this.#pace.pause(outcome.retryAfterMs ?? 0);
    const roomId = request?.frame.room_id ?? frame.room_id;
    const conflicts = Array.isArray(frame.conflicts) ? frame.conflicts.map((/** @type {any} */ each) => String(each?.seat_id)) : [];
    const seats = conflicts.length > 0 ? conflicts : (request?.seats ?? []);
    const requestType = request?.frame.type ?? frame.request_type;
    this.#emit("refused", { roomId, seatId: seats[0], seats, requestType, ...withoutOk(outcome) });
  }

  /** @param {Frame} frame */
  #goaway({ reason, reconnect_after_ms: range }) {
    const [from, to] = Array.isArray(range) ? range.map((ms) => Math.min(Math.max(Number(ms) || 0, 0), MOVE_MS_MAX)) : [0, 0];
    const inMs = Math.round(from + Math.random() * Math.max(0, (to ?? from) - from));
    this.#host.link.moveIn(inMs);
    this.#emit("goaway", { reason, inMs });
  }

  /** @param {Frame} frame  An `authenticated`. */
  #renewLater(frame) {
    const left = this.clock.remaining(timeOf(frame.expires_at));
    if (left !== undefined) this.#token.renewIn(left, (text) => void this.authenticate(text));
  }

  /** A whole tick without a word after a ping, or a request that nobody answers: dead, whatever the system believes. */
  #beat() {
    if (this.#pace.paused) return;
    this.#quietTicks += 1;
    const overdue = this.#inFlight.beat();
    if (this.#quietTicks > 1) this.#host.link.drop("no sign of life");
    else if (overdue) this.#host.link.drop("requests are not answered");
    else void this.#request({ type: "ping" });
  }

  /** @param {RoomMap} room @param {Refusal | undefined} why  Undefined: it needs no word. */
  #dropCart(room, why) {
    const seats = room.dropCart();
    if (seats.length === 0) return;
    this.#emit("cart", { roomId: room.roomId, cart: room.cart, reason: why ? "disconnected" : "closed", gone: seats });
    if (why) for (const seatId of seats) this.#lost(room, seatId, why);
  }

  /** @param {RoomMap} room @param {string} seatId @param {Refusal} why */
  #lost(room, seatId, { code, message }) {
    this.#emit("lost", { roomId: room.roomId, seatId, code, message });
  }

  /** @param {RoomMap} room @param {string[]} [changed] */
  #changed(room, changed) {
    room.version += 1;
    this.#emit("change", changed === undefined ? { roomId: room.roomId } : { roomId: room.roomId, changed });
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

/** What the module sends by itself. */
const OWN_WORK = new Set(["join_room", "leave_room", "sync"]);
