// A seat server of v2 without a network: it decides as the real one does, and the test decides what arrives when.
//
// Owns: rooms, carts, sessions, the sockets that a client under test opens. Invariants: what is decided is queued for its
// socket in order; only `deliver`, `lose` and the like take it out; every change of a seat moves `seq` by one.
// Never here: timers of its own; time is `this.time()`. `live.mjs` puts it behind real sockets.

import { deflateRawSync } from "node:zlib";
import { applyRequest } from "./scripted_requests.mjs";

export const STATES = { free: 0, held: 1, checkout: 1, booked: 2, blocked: 3 };
const TOKEN_MS = 12 * 3_600_000;

/** `count` seats in one row, for rooms with a layout. */
export function smallLayout(count, version = `v${count}`) {
  return { id: "hall", version, seats: Array.from({ length: count }, (_, index) => ({ id: `S${index}`, section: "a", row: "1" })) };
}

export class ScriptedV2 {
  /** Every socket that was ever opened, oldest first. */
  sockets = [];
  /** Sockets whose end the server has not noticed yet. */
  unnoticed = [];
  /** The next requests are refused: `{ left, code, retryAfterMs }`. */
  refusing = { left: 0 };
  silentUntil = 0;
  /** How many of the next packed maps cannot be read, each for another reason. */
  spoiling = 0;
  /** The client has met one: it must not ask for another. */
  gaveUpPacked = false;
  broken = [];
  rooms = new Map();
  /** Session id to `{ socket, awayUntil }`. */
  sessions = new Map();
  /** What every position of every room was: `room epoch seq` to its seats that are not free. */
  history = new Map();
  #epoch = 1;
  #key = 1;
  #names = 0;
  /** How far its clock was set forward. */
  offsetMs = 0;

  constructor({ layouts = {}, auth = "off", holdMs = 300_000, graceMs = 15_000, ring = 8, maxSeats = 10, extendsMax = 1, warnMs = 30_000, packs = false, isGood = (token) => token === "good" } = {}) {
    Object.assign(this, { layouts, auth, holdMs, graceMs, ring, maxSeats, extendsMax, warnMs, packs, isGood });
    const server = this;
    this.WebSocket = class extends ScriptedSocket {
      constructor(address) {
        super(server, address);
      }
    };
  }

  time() {
    return Date.now() + this.offsetMs;
  }

  now() {
    return new Date(this.time()).toISOString();
  }

  /** The newest of the client under test. */
  get newest() {
    return this.sockets.findLast(({ isRival }) => !isRival);
  }

  /** Another tab with a copy of the session continues it. */
  rival() {
    const { session } = this.newest ?? {};
    if (session === undefined) return;
    const socket = new ScriptedSocket(this, "");
    socket.isRival = true;
    socket.opens();
    this.resume(socket, { session_token: JSON.stringify([session, this.#key, this.time() + 1]), rooms: [] }, () => undefined);
  }

  greet(socket) {
    const id = `session-${(this.#names += 1)}`;
    socket.session = id;
    socket.authenticated = this.auth === "off";
    this.sessions.set(id, { socket });
    socket.queue.push(this.#hello(socket, false, []));
  }

  #hello(socket, resumed, carts) {
    const token = JSON.stringify([socket.session, this.#key, this.time() + TOKEN_MS]);
    return {
      type: "hello", session_id: socket.session, session_token: token, resumed, now: this.now(), auth: this.auth, grace_ms: this.graceMs,
      ping_ms: 25_000, carts,
    };
  }

  /** Another connection proves that it is who it says. */
  resume(socket, { id, session_token: token, rooms = [] }, error) {
    const [session, key, until] = parse(token) ?? [];
    if (key !== this.#key || until < this.time()) return error("session_unknown");
    const before = this.sessions.get(session)?.socket;
    if (socket.session !== session) this.sessions.delete(socket.session);
    this.sessions.set(session, { socket });
    socket.session = session;
    if (before && before !== socket) before.ends(4505);
    const carts = rooms.map((roomId) => ({ room_id: roomId, cart: this.cartOf(this.room(roomId), session) }));
    socket.queue.push({ ...this.#hello(socket, true, carts), id });
  }

  /** A request has come. */
  hear(socket, text) {
    const request = JSON.parse(text);
    // The greeting of a new connection is not what was too much.
    const greets = (request.type === "ping" && request.id === undefined) || request.type === "resume" || request.type === "auth";
    if (this.time() < this.silentUntil && !greets) this.broken.push(`sent ${text} although silence was asked for`);
    if (request.packed && this.gaveUpPacked) this.broken.push(`sent ${text} although a packed map could not be read`);
    const error = (code, more = {}) =>
      socket.queue.push({
        type: "error", id: request.id, code, message: code, request_type: request.type, room_id: request.room_id, ...more, timestamp: this.now(),
      });
    if (request.type === "ping") return socket.queue.push({ type: "pong", id: request.id, t: request.t, now: this.now() });
    if (this.refusing.left > 0) {
      this.refusing.left -= 1;
      return error(this.refusing.code, { retry_after_ms: this.refusing.retryAfterMs });
    }
    applyRequest(this, socket, request, error);
  }

  /** The client has read this frame. */
  wasHeard({ code, retry_after_ms: ms = 0 }) {
    if (code === "rate_limited" && typeof ms === "number") this.silentUntil = Math.max(this.silentUntil, this.time() + ms);
  }

  room(roomId) {
    let room = this.rooms.get(roomId);
    if (!room) {
      const layout = this.layouts[roomId];
      room = {
        roomId, layout, epoch: `e${this.#epoch}`, seq: 0, toldTo: 0, ring: [], taken: new Map(), carts: new Map(), members: new Set(), sale: "open",
        index: layout && new Map(layout.seats.map((seat, index) => [seat.id, index])),
      };
      this.rooms.set(roomId, room);
      this.#record(room);
    }
    return room;
  }

  /** One change of one seat: `status` in words, or undefined when it is free from now on. */
  change(room, seatId, status, owner, order) {
    room.seq += 1;
    if (status === undefined) room.taken.delete(seatId);
    else room.taken.set(seatId, { status, owner, order });
    this.#record(room);
    room.ring.push({ seq: room.seq, seatId, state: STATES[status ?? "free"] });
    // What the next tick has not told yet is kept whatever the ring's size.
    while (room.ring.length > this.ring && room.ring[0].seq <= room.toldTo) room.ring.shift();
  }

  #record(room) {
    if (room.layout?.seats.length > 100) return;
    this.history.set(`${room.roomId} ${room.epoch} ${room.seq}`, this.shown(room));
  }

  /** The seats of a room that are not free, as a client should show them. */
  shown(room) {
    return JSON.stringify([...room.taken].map(([seatId, { status }]) => [seatId, STATES[status]]).sort());
  }

  /** The changes after a position, the last state of each seat, or undefined when the ring does not reach back. */
  changesAfter(room, seq) {
    if (seq > room.seq || (seq < room.seq && !(room.ring[0]?.seq <= seq + 1))) return undefined;
    const last = new Map();
    for (const { seq: at, seatId, state } of room.ring) if (at > seq) last.set(seatId, state);
    if (!room.layout) return [...last];
    return [...last].map(([seatId, state]) => [room.index.get(seatId), state]).sort((a, b) => a[0] - b[0]);
  }

  delta(room, from) {
    return { type: "delta", room_id: room.roomId, epoch: room.epoch, from: from + 1, to: room.seq, changes: this.changesAfter(room, from) };
  }

  snapshot(room, socket, id) {
    const map = room.layout ? this.#states(room, socket) : { seats: [...room.taken].map(([seatId, { status }]) => [seatId, STATES[status]]) };
    return { type: "snapshot", id, room_id: room.roomId, epoch: room.epoch, seq: room.seq, ...map, cart: this.cartOf(room, socket.session) };
  }

  #states(room, socket) {
    const bytes = this.bytes(room);
    if (!this.packs || !socket.packs) return { states: Buffer.from(bytes).toString("base64") };
    const packed = deflateRawSync(bytes);
    if (this.spoiling === 0) return { packed: packed.toString("base64") };
    this.spoiling -= 1;
    // Cut short, no base64, too long for this room, too long for any, nothing at all, another format.
    const bad = [packed.subarray(0, -1), undefined, deflateRawSync(Buffer.alloc(9)), deflateRawSync(Buffer.alloc(60_000)), Buffer.alloc(0), bytes];
    return { packed: bad[room.seq % bad.length]?.toString("base64") ?? "%" };
  }

  bytes(room) {
    const bytes = new Uint8Array(Math.ceil(room.layout.seats.length / 4));
    for (const [seatId, { status }] of room.taken) {
      const index = room.index.get(seatId);
      bytes[index >> 2] |= STATES[status] << (2 * (index & 3));
    }
    return Buffer.from(bytes);
  }

  joined(room, socket, id) {
    const { layout } = room;
    const described = layout && { id: layout.id, version: layout.version, seats: layout.seats.length };
    return {
      type: "room_joined", id, room_id: room.roomId, epoch: room.epoch, seq: room.seq, now: this.now(), ...(described && { layout: described }),
      sale: room.sale, hold_ms: this.holdMs, max_seats: this.maxSeats, tick_ms: 100,
    };
  }

  cart(room, session) {
    let cart = room.carts.get(session);
    if (!cart) room.carts.set(session, (cart = { seats: [], extends: 0, orders: [] }));
    return cart;
  }

  cartOf(room, session) {
    const cart = room.carts.get(session) ?? { seats: [], extends: 0, orders: [] };
    return {
      seats: [...cart.seats],
      expires_at: cart.seats.length > 0 ? new Date(cart.expiresAt).toISOString() : null,
      extends_left: this.extendsMax - cart.extends,
      orders: cart.orders.map((order) => ({ ...order, seats: [...order.seats], expires_at: null })),
    };
  }

  /** Tells the owner of a cart that changed otherwise than by its request. */
  tellCart(room, session, reason, gone, order) {
    const socket = this.sessions.get(session)?.socket;
    if (socket?.readyState > 1) return;
    socket?.queue.push({ type: "cart", room_id: room.roomId, seq: room.seq, reason, gone, ...(order && { order }), cart: this.cartOf(room, session) });
  }

  /** One delta a room, the same for all members. */
  tick() {
    for (const room of this.rooms.values()) {
      if (room.toldTo === room.seq) continue;
      const delta = this.delta(room, room.toldTo);
      room.toldTo = room.seq;
      for (const socket of room.members) if (socket.readyState < 2) socket.queue.push(delta);
    }
  }

  /** A member reads too slowly: what it has not read of rooms is one snapshot. */
  conflate(socket) {
    const behind = new Set(socket.queue.filter(({ type }) => type === "delta").map(({ room_id: roomId }) => roomId));
    // A delta that is the reply to a join is not conflated: it stands right behind its `room_joined`.
    if (socket.queue.some(({ type }) => type === "room_joined")) return;
    socket.queue = socket.queue.filter(({ type }) => type !== "delta");
    for (const roomId of behind) if (this.room(roomId).members.has(socket)) socket.queue.push(this.snapshot(this.room(roomId), socket));
  }

  /** Somebody else takes a seat or gives it back. */
  stranger(roomId, seatId) {
    const room = this.room(roomId);
    const seat = room.taken.get(seatId);
    if (!seat) this.change(room, seatId, "held", "luis");
    else if (seat.owner === "luis") this.change(room, seatId, undefined);
  }

  /** The shop or an operator acts on what the newest session has. */
  backend(act, roomId) {
    const session = this.newest?.session;
    const room = this.room(roomId);
    const cart = room.carts.get(session);
    if (!cart) return;
    const order = cart.orders.find(({ status }) => status === "checkout");
    const seats = act === "checkout" || act === "free" ? cart.seats : (order?.seats ?? []);
    if (seats.length === 0) return;
    if (act === "checkout") {
      for (const seatId of seats) this.change(room, seatId, "checkout", session, `o-${room.seq}`);
      cart.orders.push({ order: `o-${room.seq}`, status: "checkout", seats });
      cart.seats = [];
      return this.tellCart(room, session, "checkout", seats, cart.orders.at(-1).order);
    }
    if (act === "free") {
      for (const seatId of seats) this.change(room, seatId, undefined);
      cart.seats = [];
      return this.tellCart(room, session, "released_by_operator", seats);
    }
    for (const seatId of seats) this.change(room, seatId, act === "book" ? "booked" : "held", session);
    if (act === "book") order.status = "booked";
    else {
      cart.orders = cart.orders.filter((each) => each !== order);
      cart.seats.push(...seats);
      cart.expiresAt = this.time() + 60_000;
    }
    this.tellCart(room, session, act === "book" ? "booked" : "payment_failed", [], order.order);
  }

  /** The room gets another layout: everything is told anew. */
  relayout(roomId, layout) {
    const room = this.room(roomId);
    if (!room.layout || [...room.taken.keys()].some((seatId) => !layout.seats.some(({ id }) => id === seatId))) return;
    room.layout = this.layouts[roomId] = layout;
    room.index = new Map(layout.seats.map((seat, index) => [seat.id, index]));
    room.epoch = `${room.epoch}+`;
    room.ring = [];
    room.toldTo = room.seq;
    this.#record(room);
    for (const socket of room.members) socket.queue.push(this.joined(room, socket), this.snapshot(room, socket));
  }

  setSale(roomId, sale) {
    const room = this.room(roomId);
    room.sale = sale;
    for (const socket of room.members) socket.queue.push({ type: "room_state", room_id: roomId, sale, message: `now ${sale}` });
  }

  goaway(range) {
    for (const socket of this.sockets) {
      if (socket.readyState === 1) socket.queue.push({ type: "goaway", reason: "drain", reconnect_after_ms: range });
    }
  }

  /** Ends what has run out, and what nobody came back for. */
  expire() {
    for (const room of this.rooms.values()) {
      for (const [session, cart] of room.carts) {
        if (cart.seats.length === 0) continue;
        if (cart.expiresAt <= this.time()) this.#end(room, session, cart, "expired");
        else if (this.sessions.get(session)?.awayUntil <= this.time()) this.#end(room, session, cart, "disconnected");
        else this.#warn(room, session, cart);
      }
    }
  }

  #warn(room, session, cart) {
    const left = cart.expiresAt - this.time();
    const socket = this.sessions.get(session)?.socket;
    if (left > this.warnMs || this.holdMs <= this.warnMs || cart.warned === cart.expiresAt || !(socket?.readyState < 2)) return;
    cart.warned = cart.expiresAt;
    socket.queue.push({ type: "hold_expiring", room_id: room.roomId, cart: this.cartOf(room, session), left_ms: left });
  }

  #end(room, session, cart, reason) {
    const gone = cart.seats;
    cart.seats = [];
    for (const seatId of gone) this.change(room, seatId, undefined);
    this.tellCart(room, session, reason, gone);
  }

  /** Sockets that have ended: their carts wait for the session. */
  notice() {
    for (const socket of this.unnoticed.splice(0)) {
      for (const room of this.rooms.values()) room.members.delete(socket);
      const session = this.sessions.get(socket.session);
      if (session?.socket === socket) session.awayUntil = this.time() + this.graceMs;
    }
    this.expire();
  }

  /** It goes down; `keep`: with a store, whose key still knows the tokens. */
  restart(code, keep) {
    for (const socket of this.sockets) if (socket.readyState < 2) socket.ends(code);
    this.notice();
    this.#epoch += 1;
    if (!keep) {
      this.#key += 1;
      this.rooms.clear();
      this.sessions.clear();
    }
    for (const room of this.rooms.values()) {
      room.members.clear();
      room.ring = [];
      room.toldTo = room.seq;
      room.epoch = `e${this.#epoch}`;
      this.#record(room);
    }
  }
}

/** The client's end of one connection; what is in `queue` has been sent by the server and has not arrived. */
export class ScriptedSocket {
  readyState = 0;
  queue = [];

  constructor(server, address) {
    this.server = server;
    this.address = address;
    server.sockets.push(this);
  }

  opens() {
    if (this.readyState !== 0) return;
    this.readyState = 1;
    this.server.greet(this);
    this.onopen?.({});
  }

  send(text) {
    if (this.readyState !== 1) throw new Error("InvalidStateError");
    this.server.hear(this, text);
  }

  close() {
    if (this.readyState < 2) this.ends(1005);
  }

  ends(code) {
    if (this.readyState > 1) return;
    this.readyState = 3;
    this.server.unnoticed.push(this);
    this.onclose?.({ code, reason: "" });
  }

  /** The first of what is under way arrives. */
  deliver() {
    const frame = this.queue.shift();
    if (!frame || this.readyState !== 1) return;
    // Behind a packed map the client reads it later: then the test says when.
    if (!this.server.packs) this.server.wasHeard(frame);
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
