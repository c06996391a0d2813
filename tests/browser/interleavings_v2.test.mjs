// The same for v2: whatever happens in whatever order, the map is one that the room had, the cart is the server's, no seat
// stays pending, no promise open, and nothing that was held is lost without a word.
//
//   INTERLEAVINGS=20000 SEED=7 node --test interleavings_v2.test.mjs

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { ButacaClient } from "../../static/butaca-client.js";
import { ScriptedV2, smallLayout } from "./lib/scripted_v2.mjs";

const RUNS = Number(process.env.INTERLEAVINGS ?? 400);
const SEED = Number(process.env.SEED ?? 1);
const ROOMS = ["hall", "open"]; // With a layout, and without.
const SEATS = ["S0", "S1", "S2", "S3", "S4"];
const FINAL = new Set([1002, 1003, 1007, 1009, 4500, 4503, 4505, 4999]);
const LEGAL = {
  idle: ["connecting", "closed"],
  connecting: ["open", "waiting", "closed"],
  open: ["waiting", "closed"],
  waiting: ["connecting", "waiting", "closed"],
  closed: ["connecting", "closed"],
};

const room = fc.constantFrom(...ROOMS);
const seat = fc.constantFrom(...SEATS);
const seats = fc.uniqueArray(seat, { minLength: 1, maxLength: 3 });
const code = fc.constantFrom(1000, 1001, 1005, 1006, 1011, 4000, 4008, 4013, 4499, ...FINAL);
const user = fc.oneof(
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom("join", "join", "leave"), room) },
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom("select", "select", "release"), room, seats) },
  fc.tuple(fc.constant("swap"), room, seats, seats),
  fc.tuple(fc.constant("best"), room, fc.integer({ min: 0, max: 4 })),
  fc.tuple(fc.constantFrom("releaseAll", "extend"), room),
  fc.tuple(fc.constantFrom("connect", "connect", "close", "ping")),
);
const command = fc.oneof(
  { weight: 7, arbitrary: user },
  { weight: 4, arbitrary: fc.tuple(fc.constant("opens")) },
  { weight: 8, arbitrary: fc.tuple(fc.constant("deliver"), fc.integer({ min: 1, max: 8 })) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("pulse")) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("tick"), fc.constantFrom(1, 100, 1_000, 5_000, 15_000, 60_000, 280_000)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("ends"), code) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("stranger"), room, seat) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("backend"), fc.constantFrom("checkout", "checkout", "book", "cancel", "free"), room) },
  fc.tuple(fc.constantFrom("notice", "ghost", "garbage", "conflate", "rival", "reload")),
  { weight: 3, arbitrary: fc.tuple(fc.constant("lose"), seat) },
  { weight: 5, arbitrary: fc.tuple(fc.constantFrom("inflate", "inflate", "breathe")) },
  fc.tuple(fc.constant("spoil"), fc.integer({ min: 1, max: 2 })),
  fc.tuple(fc.constant("restart"), fc.constantFrom(1001, 1006), fc.boolean()),
  fc.tuple(fc.constant("relayout"), fc.integer({ min: 5, max: 9 })),
  fc.tuple(fc.constant("sale"), room, fc.constantFrom("paused", "open", "closed", "open")),
  fc.tuple(fc.constant("goaway"), fc.constantFrom([0, 0], [500, 8_000], "soon", [9])),
  fc.tuple(
    fc.constant("refuse"),
    fc.integer({ min: 1, max: 4 }),
    fc.constantFrom("rate_limited", "rate_limited", "overloaded", "persistence_unavailable", "seats_unavailable", "session_unknown", "forbidden"),
    fc.constantFrom(undefined, 0, 50, 2_000, 30_000),
  ),
  // A listener that acts in the middle of things.
  fc.tuple(fc.constant("arm"), fc.constantFrom("status", "change", "refused", "lost", "ended", "gap", "message", "cart", "session"), user),
);
const GARBAGE = [
  "", "{", "null", "[]", '{"type":7}', '{"type":"novelty","room_id":"hall"}', '{"type":"delta","room_id":"hall"}',
  '{"type":"delta","room_id":"hall","epoch":"e1","from":"1","to":{},"changes":[]}', '{"type":"snapshot","room_id":"hall"}',
  '{"type":"delta","room_id":"hall","epoch":"e1","from":1,"to":99,"changes":[[0,9]]}', '{"type":"snapshot","room_id":"hall","seq":1,"epoch":"e1","states":"%"}',
  '{"type":"snapshot","room_id":"open","seq":1,"epoch":"e1","packed":{}}', '{"type":"snapshot","room_id":"nowhere","seq":1,"epoch":"e1","packed":"AwA="}',
  '{"type":"snapshot","room_id":"open","seq":1,"epoch":"e1","seats":7}', '{"type":"seats_held","room_id":"hall","cart":null}',
  '{"type":"cart","room_id":"hall","cart":7}', '{"type":"room_state","room_id":"nowhere"}', '{"type":"room_joined","room_id":{}}',
  '{"type":"error","code":7,"room_id":[]}', '{"type":"error","code":"rate_limited","retry_after_ms":"soon"}', '{"type":"authenticated"}',
];
const EVENTS = ["status", "change", "refused", "lost", "ended", "gap", "message", "cart", "session", "expiring", "room", "goaway"];

/** One tab and one server, a script, and what must hold after each step. */
class Run {
  promises = [];
  mayConnect = false;
  armed = [];
  states = ["idle"];
  stored = new Map();
  gone = new Set();
  mine = new Set();
  /** Where the copies of rooms stood. */
  positions = new Map();
  /** Something was lost or spoilt on the way. */
  mayGap = false;
  /** Maps that are being unpacked. */
  unpacking = [];

  constructor() {
    this.server = new ScriptedV2({ layouts: { hall: smallLayout(6) }, packs: true });
    this.storage = {
      getItem: (key) => this.stored.get(key) ?? null,
      setItem: (key, value) => this.stored.set(key, value),
      removeItem: (key) => this.stored.delete(key),
    };
    this.open();
  }

  /** The page is loaded. */
  open() {
    const { WebSocket } = this.server;
    const fetch = async (address) => ({ ok: true, json: async () => smallLayout(Number(address.split("v").pop())) });
    this.server.gaveUpPacked = false;
    const inflate = (packed, bytesMax) => new Promise((...ends) => this.unpacking.push({ packed, bytesMax, ends }));
    const options = { url: "ws://x", clientId: "ana", userInfo: { name: "Ana" }, storage: this.storage, fetch, inflate, WebSocket };
    const client = new ButacaClient(options);
    for (const type of EVENTS) client.addEventListener(type, ({ detail }) => client === this.client && this.heard(type, detail));
    this.client = client;
    this.states = ["idle"];
  }

  heard(type, detail) {
    if (type === "message" && detail.direction === "in") this.read(detail.frame);
    if (type === "status") this.statusIs(detail);
    if (type === "gap" && !this.mayGap) this.server.broken.push(`a hole in ${detail.roomId}, where nothing was lost`);
    if (type === "cart") for (const seatId of detail.gone) this.gone.add(`${detail.roomId}/${seatId}`);
    const index = this.armed.findIndex(([wanted]) => wanted === type);
    if (index >= 0) this.step(this.armed.splice(index, 1)[0][1]);
  }

  /** A frame has been taken in. A packed map that could not be read was the last that was asked for. */
  read(frame) {
    this.server.wasHeard(frame);
    const { room_id: roomId, packed, states } = frame;
    if (packed === undefined || !this.client.room(roomId).joined) return;
    this.server.gaveUpPacked ||= states?.length !== Math.ceil(this.client.room(roomId).layout?.seats / 4);
  }

  statusIs({ status, code: why }) {
    const before = this.states.at(-1);
    assert.ok(LEGAL[before].includes(status), `${before} -> ${status}`);
    this.states.push(status);
    if (status === "closed") this.mayConnect = false;
    if (why !== undefined) assert.equal(status === "closed", FINAL.has(why), `${why}: ${status}`);
  }

  step([name, ...words]) {
    const { client, server } = this;
    this.mayGap ||= ["lose", "garbage", "spoil"].includes(name);
    const ask = (promise) => this.promises.push(promise);
    const act = {
      connect: () => {
        this.mayConnect = true;
        client.connect();
      },
      close: () => client.close(),
      join: (roomId) => ask(client.join(roomId)),
      leave: (roomId) => ask(client.leave(roomId)),
      select: (roomId, wanted) => ask(client.select(roomId, wanted)),
      release: (roomId, given) => ask(client.release(roomId, given)),
      swap: (roomId, give, take) => ask(client.swap(roomId, give, take)),
      best: (roomId, quantity) => ask(client.selectBest(roomId, quantity)),
      releaseAll: (roomId) => ask(client.releaseAll(roomId)),
      extend: (roomId) => ask(client.extend(roomId)),
      ping: () => ask(client.ping()),
      opens: () => server.newest?.opens(),
      deliver: (count) => {
        for (let left = count; left > 0; left -= 1) server.newest?.deliver();
      },
      pulse: () => server.tick(),
      tick: (ms) => this.tick(ms),
      ends: (closeCode) => server.newest?.ends(closeCode),
      stranger: (roomId, seatId) => server.stranger(roomId, seatId),
      backend: (what, roomId) => server.backend(what, roomId),
      lose: (seatId) => {
        // A delta that is made and does not arrive.
        server.stranger("hall", seatId);
        server.tick();
        if (server.newest?.queue.at(-1)?.type === "delta") server.newest.queue.pop();
      },
      notice: () => server.notice(),
      ghost: () => this.ghost(),
      garbage: () => server.newest?.queue.unshift(...GARBAGE),
      conflate: () => server.newest && server.conflate(server.newest),
      rival: () => server.rival(),
      reload: () => this.reload(),
      inflate: () => this.inflate(),
      breathe: () => undefined, // What was promised arrives.
      spoil: (count) => (server.spoiling = count),
      restart: (closeCode, keep) => server.restart(closeCode, keep),
      relayout: (count) => server.relayout("hall", smallLayout(count)),
      sale: (roomId, sale) => server.setSale(roomId, sale),
      goaway: (range) => server.goaway(range),
      refuse: (left, refusal, retryAfterMs) => (server.refusing = { left, code: refusal, retryAfterMs }),
      arm: (type, later) => this.armed.push([type, later]),
    };
    act[name](...words);
  }

  tick(ms) {
    for (let left = ms; left > 0; left -= Math.min(left, 1_000)) {
      mock.timers.tick(Math.min(left, 1_000));
      this.server.expire();
      this.server.tick();
    }
  }

  /** The tab is loaded again: nobody is there to hear what becomes of the old page. */
  reload() {
    const old = this.client;
    const { mayConnect } = this;
    this.server.silentUntil = 0; // A new page knows nothing of it.
    this.client = undefined;
    old.close();
    this.open();
    this.mine.clear();
    this.positions.clear();
    this.mayConnect = mayConnect;
    if (mayConnect) this.client.connect();
  }

  /** The first of the maps that are being unpacked is ready, or cannot be read. */
  inflate() {
    const { packed, bytesMax, ends } = this.unpacking.shift() ?? {};
    if (!ends) return;
    try {
      ends[0](new Uint8Array(inflateRawSync(packed, { maxOutputLength: bytesMax })));
    } catch (problem) {
      ends[1](problem);
    }
  }

  /** A socket that has ended speaks once more. */
  ghost() {
    const old = this.server.sockets.findLast((socket) => socket.readyState > 1);
    const before = this.client.status;
    old?.onopen?.({});
    old?.onmessage?.({ data: '{"type":"hello","session_id":"x","session_token":"y"}' });
    old?.onmessage?.({ data: '{"type":"cart","room_id":"hall","cart":{"seats":["S0"]},"gone":[]}' });
    old?.onclose?.({ code: 1006, reason: "" });
    assert.equal(this.client.status, before);
  }

  /** What holds after every step. */
  check() {
    const { client, server } = this;
    assert.deepEqual(server.broken, []);
    assert.equal(client.status, this.states.at(-1));
    const live = server.sockets.filter((socket) => !socket.isRival && socket.readyState < 2);
    assert.ok(live.length <= 1, `${live.length} sockets at once`);
    if (client.status === "open") assert.equal(live[0]?.readyState, 1);
    if (!this.mayConnect) assert.equal(live.length, 0, "closed means closed");
    for (const roomId of ROOMS) this.checkMap(client.room(roomId));
    this.checkCarts();
  }

  /** The copy is what the room was at that position: never a hole, never a guess, and never back. */
  checkMap(copy) {
    const before = this.positions.get(copy.roomId);
    this.positions.set(copy.roomId, copy.position);
    if (!copy.known) return;
    if (before?.epoch === copy.epoch) assert.ok(copy.seq >= before.seq, `${copy.roomId} went back from ${before.seq} to ${copy.seq}`);
    const was = this.server.history.get(`${copy.roomId} ${copy.epoch} ${copy.seq}`);
    assert.equal(shown(copy), was, `${copy.roomId} at ${copy.epoch} ${copy.seq}`);
  }

  /** What leaves a cart is told. */
  checkCarts() {
    const now = new Set(ROOMS.flatMap((roomId) => this.client.room(roomId).own().map(([seatId]) => `${roomId}/${seatId}`)));
    for (const key of this.mine) assert.ok(now.has(key) || this.gone.has(key), `${key} left the cart without a word`);
    this.mine = now;
    this.gone.clear();
  }

  pending() {
    const all = ROOMS.flatMap((roomId) => SEATS.map((seatId) => [roomId, seatId]));
    return all.filter(([roomId, seatId]) => {
      const { status, releasing } = this.client.room(roomId).seat(seatId);
      return status === "pending" || releasing;
    });
  }
}

function shown(copy) {
  const names = smallLayout(copy.layout?.seats ?? 0).seats.map(({ id }) => id);
  const list = copy.states ? [...copy.states].map((state, index) => [names[index], state]).filter(([, state]) => state > 0) : [...copy.named];
  return JSON.stringify(list.sort());
}

/** From here on everything works: the server answers, and nothing is lost. `cut`: the connection ends once more before. */
async function honest(run, cut) {
  const { client, server } = run;
  server.refusing = { left: 0 };
  for (const roomId of ROOMS) run.step(["join", roomId]);
  if (cut) server.newest?.ends(1001);
  server.notice();
  if (client.status === "closed" || client.status === "idle") run.step(["connect"]);
  for (let second = 0; second < 120; second += 1) {
    run.tick(1_000);
    // A delta that got lost and has none behind it is noticed by the next join, and that may have met a silence.
    if (second === 70) for (const roomId of ROOMS) run.step(["join", roomId]);
    server.notice();
    server.newest?.opens();
    while (server.newest?.readyState === 1 && server.newest.queue.length > 0) server.newest.deliver();
    await inflated(run);
    run.check();
  }
  await settled(); // Layouts arrive.
  assert.equal(client.status, "open");
  assert.equal(client.sessionId, server.newest.session);
  for (const roomId of ROOMS) {
    const [copy, real] = [client.room(roomId), server.room(roomId)];
    assert.ok(copy.joined && real.members.has(server.newest), `${roomId} is joined`);
    assert.deepEqual([copy.epoch, copy.seq, shown(copy)], [real.epoch, real.seq, server.shown(real)], `the copy of ${roomId}`);
    const cart = server.cartOf(real, server.newest.session);
    assert.deepEqual(copy.cart.seats, cart.seats, `the cart in ${roomId}`);
    assert.deepEqual(copy.cart.orders.map(({ order, status }) => [order, status]), cart.orders.map(({ order, status }) => [order, status]));
    for (const seatId of SEATS) assert.equal(copy.seat(seatId).status, lookOf(real.taken.get(seatId), server.newest.session), seatId);
  }
}

function lookOf(taken, session) {
  if (!taken) return "free";
  if (taken.status === "booked" || taken.status === "blocked") return taken.status;
  if (taken.owner !== session) return "other";
  return taken.status === "checkout" ? "checkout" : "mine";
}

/** From here on nobody answers; `opens`: connections come up all the same. */
function silent(run, opens) {
  for (let second = 0; second < 400; second += 1) {
    if (opens) run.server.newest?.opens();
    run.tick(1_000);
  }
}

async function inflated(run) {
  do {
    run.inflate();
    await settled();
  } while (run.unpacking.length > 0);
}

function settled() {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

async function check({ ending, cut, commands }) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.parse("2026-01-15T12:00:00Z") });
  const run = new Run();
  try {
    for (const each of commands) {
      run.step(each);
      if (each[0] === "breathe") await settled();
      run.check();
    }
    run.armed = [];
    if (ending === "honest") await honest(run, cut);
    else silent(run, ending === "mute");
    assert.deepEqual(run.pending(), [], "pending for ever");
    assert.ok(await Promise.race([Promise.all(run.promises), settled()]), "a promise is open");
    run.step(["close"]);
    run.check();
  } finally {
    run.client.close();
    mock.timers.reset();
  }
}

test(`the module ends well in v2 after ${RUNS} random scripts`, async () => {
  const random = mock.method(Math, "random", () => 0.5);
  const scripts = fc.record({
    cut: fc.boolean(),
    ending: fc.constantFrom("honest", "honest", "mute", "dead"),
    // They begin in the middle, where most happens.
    commands: fc
      .array(command, { maxLength: 70, size: "max" })
      .map((rest) => [["join", "hall"], ["join", "open"], ["connect"], ["opens"], ["deliver", 6], ...rest]),
  });
  await fc.assert(fc.asyncProperty(scripts, check), { numRuns: RUNS, seed: SEED, errorWithCause: true });
  random.mock.restore();
});
