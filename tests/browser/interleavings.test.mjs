// Whatever happens in whatever order, the module ends well: no seat pending for ever, no promise open, no state that is
// none. Random scripts drive it against a scripted server; a failure prints the seed, the path and the shortest script.
//
//   INTERLEAVINGS=20000 SEED=7 node --test interleavings.test.mjs

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import fc from "fast-check";
import { ButacaClient } from "../../static/butaca-client.js";
import { ScriptedServer } from "./lib/scripted.mjs";

const RUNS = Number(process.env.INTERLEAVINGS ?? 400);
const SEED = Number(process.env.SEED ?? 1);
const ROOMS = ["hall", "balcony"];
const SEATS = ["A1", "A2", "A3"];
const FINAL = new Set([1002, 1003, 1007, 1009, 4500, 4505, 4999]);
const LEGAL = {
  idle: ["connecting", "closed"],
  connecting: ["open", "waiting", "closed"],
  open: ["waiting", "closed"],
  waiting: ["connecting", "waiting", "closed"],
  closed: ["connecting", "closed"],
};

const room = fc.constantFrom(...ROOMS);
const seat = fc.constantFrom(...SEATS);
const code = fc.constantFrom(1000, 1001, 1005, 1006, 1011, 3000, 4000, 4008, 4012, 4013, 4499, ...FINAL);
const user = fc.oneof(
  fc.tuple(fc.constantFrom("join", "leave"), room),
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom("select", "select", "release"), room, seat) },
  fc.tuple(fc.constantFrom("connect", "close", "ping")),
  fc.tuple(fc.constant("selectBad"), room, seat, fc.constantFrom("loop", "bigint", "half", "long", "badSeat", "badRoom")),
);
const command = fc.oneof(
  { weight: 6, arbitrary: user },
  { weight: 4, arbitrary: fc.tuple(fc.constant("opens")) },
  { weight: 6, arbitrary: fc.tuple(fc.constant("deliver"), fc.integer({ min: 1, max: 6 })) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("tick"), fc.constantFrom(1, 100, 1_000, 5_000, 10_000, 20_000, 60_000, 200_000)) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("ends"), code) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("stranger"), room, seat) },
  fc.tuple(fc.constantFrom("lose", "notice", "ghost", "garbage")),
  fc.tuple(fc.constant("restart"), fc.constantFrom(1001, 1006), fc.boolean()),
  fc.tuple(
    fc.constant("refuse"),
    fc.integer({ min: 1, max: 4 }),
    fc.constantFrom("rate_limited", "rate_limited", "overloaded", "persistence_unavailable", "seat_taken", "forbidden"),
    fc.constantFrom(undefined, 0, 50, 2_000, 30_000),
  ),
  // A listener that acts in the middle of things.
  fc.tuple(fc.constant("arm"), fc.constantFrom("status", "change", "refused", "lost", "ended", "gap", "message"), user),
);
const GARBAGE = [
  "", "{", "null", "[]", '{"type":7}', '{"type":"novelty","room_id":"hall"}', '{"type":"current_selections","room_id":"hall"}',
  '{"type":"current_selections","room_id":"hall","selections":[null,7,{}]}', '{"type":"seat_selected","room_id":"hall"}',
  '{"type":"room_joined","room_id":{}}', '{"type":"error","code":7,"room_id":[]}',
  '{"type":"error","code":"rate_limited","retry_after_ms":"soon"}', '{"type":"seat_released","room_id":"nowhere","seat_id":"A1"}',
];

/** One client and one server, a script, and what must hold after each step. */
class Run {
  promises = [];
  told = new Set();
  limbo = new Set();
  mine = new Set();
  mayConnect = false;
  armed = [];
  states = ["idle"];

  constructor({ old, reclaim }) {
    this.server = new ScriptedServer({ old });
    const { WebSocket } = this.server;
    this.client = new ButacaClient({ url: "ws://x", clientId: "ana", userInfo: { name: "Ana" }, protocol: "v1", reclaim, WebSocket });
    for (const type of ["status", "change", "refused", "lost", "ended", "gap", "message"]) {
      this.client.addEventListener(type, ({ detail }) => this.heard(type, detail));
    }
  }

  heard(type, detail) {
    if (type === "status") this.statusIs(detail);
    if (type === "lost" || type === "ended") this.told.add(`${detail.roomId}/${detail.seatId}`);
    const index = this.armed.findIndex(([wanted]) => wanted === type);
    if (index >= 0) this.step(this.armed.splice(index, 1)[0][1]);
  }

  statusIs(detail) {
    const before = this.states.at(-1);
    assert.ok(LEGAL[before].includes(detail.status), `${before} -> ${detail.status}`);
    this.states.push(detail.status);
    if (detail.status === "closed") this.mayConnect = false;
    const { code: why, retryInMs } = detail;
    if (why !== undefined) assert.equal(detail.status === "closed", FINAL.has(why), `${why}: ${detail.status}`);
    if (detail.status === "waiting") assert.ok(retryInMs >= (why === 4013 ? 15_000 : 250), `${why}: ${retryInMs} ms`);
  }

  step([name, ...words]) {
    const { client, server } = this;
    const act = {
      connect: () => {
        this.mayConnect = true;
        client.connect();
      },
      close: () => {
        this.freeAll();
        client.close();
      },
      join: (roomId) => this.promises.push(client.join(roomId)),
      leave: (roomId) => this.promises.push(client.leave(roomId)),
      select: (roomId, seatId) => this.promises.push(client.select(roomId, seatId)),
      release: (roomId, seatId) => {
        this.told.add(`${roomId}/${seatId}`);
        this.promises.push(client.release(roomId, seatId));
      },
      ping: () => this.promises.push(client.ping()),
      selectBad: (...choice) => this.promises.push(selectBad(client, ...choice)),
      opens: () => server.newest?.opens(),
      deliver: (count) => {
        for (let left = count; left > 0; left -= 1) server.newest?.deliver();
      },
      tick: (ms) => this.tick(ms),
      ends: (closeCode) => server.newest?.ends(closeCode),
      stranger: (roomId, seatId) => server.stranger(roomId, seatId),
      lose: () => server.newest?.queue.shift(),
      notice: () => server.notice(),
      ghost: () => this.ghost(),
      garbage: () => server.newest?.queue.unshift(...GARBAGE),
      restart: (closeCode, keep) => {
        const before = server.newest;
        if (keep) server.notice(true);
        server.restart(closeCode, keep);
        assert.ok(before === undefined || before.readyState > 1);
      },
      refuse: (left, refusal, retryAfterMs) => (server.refusing = { left, code: refusal, retryAfterMs }),
      arm: (type, command) => this.armed.push([type, command]),
    };
    act[name](...words);
  }

  tick(ms) {
    // In steps, so that what is due at the same time on both sides happens in an order that a clock would give.
    for (let left = ms; left > 0; left -= Math.min(left, 1_000)) {
      mock.timers.tick(Math.min(left, 1_000));
      this.server.expire();
    }
  }

  /** A socket that has ended speaks once more. */
  ghost() {
    const old = this.server.sockets.findLast((socket) => socket.readyState > 1);
    const before = this.client.status;
    old?.onopen?.({});
    old?.onmessage?.({ data: '{"type":"seat_selected","room_id":"hall","seat_id":"A1","client_id":"ana"}' });
    old?.onclose?.({ code: 1006, reason: "" });
    assert.equal(this.client.status, before);
  }

  freeAll() {
    for (const key of [...this.mine, ...this.limbo]) this.told.add(key);
  }

  /** What holds after every step. */
  check() {
    const { client, server } = this;
    assert.deepEqual(server.broken, []);
    assert.equal(client.status, this.states.at(-1));
    const live = server.sockets.filter((socket) => socket.readyState < 2);
    assert.ok(live.length <= 1, `${live.length} sockets at once`);
    if (client.status === "open") assert.equal(live[0]?.readyState, 1);
    if (!this.mayConnect) assert.equal(live.length, 0, "closed means closed");
    this.checkSeats();
  }

  /** A seat that was mine is mine, or is asked for again, or its end was told. */
  checkSeats() {
    const isMine = ([roomId, seatId]) => this.client.room(roomId).seat(seatId).status === "mine";
    const now = new Set(all().filter(isMine).map((names) => names.join("/")));
    for (const key of this.mine) if (!now.has(key)) this.limbo.add(key);
    for (const key of this.limbo) {
      const [roomId, seatId] = key.split("/");
      const { status } = this.client.room(roomId).seat(seatId);
      if (status === "pending" && !this.told.has(key)) continue;
      assert.ok(now.has(key) || this.told.has(key), `${key} was mine, is ${status} now, and nobody was told`);
      this.limbo.delete(key);
    }
    this.mine = now;
    // What is being given back ends without a word more.
    for (const key of now) {
      const [roomId, seatId] = key.split("/");
      if (!this.client.room(roomId).seat(seatId).releasing) this.told.delete(key);
    }
  }

  pending() {
    return all().filter(([roomId, seatId]) => this.client.room(roomId).seat(seatId).status === "pending");
  }
}

function all() {
  return ROOMS.flatMap((roomId) => SEATS.map((seatId) => [roomId, seatId]));
}

function selectBad(client, roomId, seatId, kind) {
  const loop = {};
  loop.self = loop;
  switch (kind) {
    case "loop":
      return client.select(roomId, seatId, loop);
    case "bigint":
      return client.select(roomId, seatId, { n: 1n });
    case "half":
      return client.select(roomId, seatId, { name: "Ana 🎭".slice(0, 5) });
    case "long":
      return client.select(roomId, seatId, { name: "x".repeat(70_000) });
    case "badSeat":
      return client.select(roomId, "🎭".slice(0, 1));
    default:
      return client.join("🎭".slice(0, 1));
  }
}

/** From here on everything works: the server answers, and nothing is lost. */
function honest(run) {
  const { client, server } = run;
  server.refusing = { left: 0 };
  server.newest?.ends(1001);
  server.notice();
  if (client.status === "closed" || client.status === "idle") run.step(["connect"]);
  for (let second = 0; second < 180; second += 1) {
    run.tick(1_000);
    server.notice();
    server.newest?.opens();
    while (server.newest?.readyState === 1 && server.newest.queue.length > 0) server.newest.deliver();
    run.check();
  }
  assert.equal(client.status, "open");
  for (const roomId of ROOMS) {
    const copy = client.room(roomId);
    assert.equal(copy.joined, server.isMember(server.newest, roomId), `${roomId} is joined`);
    // The server may have kept a hold over a restart whose answer was lost: it shows as somebody else's of that name.
    const held = server.heldBy(server.newest, roomId);
    for (const [seatId] of copy.own()) assert.ok(held.includes(seatId), `${seatId} in ${roomId} is not mine`);
    const shown = new Map([...copy.holds].map(([seatId, hold]) => [seatId, hold.clientId]).sort());
    if (copy.joined) assert.deepEqual(shown, server.held(roomId), `the copy of ${roomId}`);
  }
}

/** From here on nobody answers; `opens`: connections come up all the same. */
function silent(run, opens) {
  for (let second = 0; second < 600; second += 1) {
    if (opens) run.server.newest?.opens();
    run.tick(1_000);
  }
}

async function check({ old, reclaim, ending, commands }) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.parse("2026-01-15T12:00:00Z") });
  const run = new Run({ old, reclaim });
  try {
    for (const each of commands) {
      run.step(each);
      run.check();
    }
    run.armed = [];
    if (ending === "honest") honest(run);
    else silent(run, ending === "mute");
    // Who does not know when holds end cannot know when to give up, except by an answer.
    if (!old || ending === "honest") assert.deepEqual(run.pending(), [], "pending for ever");
    const soon = new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    assert.ok(await Promise.race([Promise.all(run.promises), soon]), "a promise is open");
    run.step(["close"]);
    run.check();
    assert.deepEqual(run.pending(), []);
  } finally {
    run.client.close();
    mock.timers.reset();
  }
}

test(`the module ends well after ${RUNS} random scripts`, async () => {
  const random = mock.method(Math, "random", () => 0.5);
  const scripts = fc.record({
    old: fc.boolean(),
    reclaim: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
    ending: fc.constantFrom("honest", "honest", "mute", "dead"),
    // They begin in the middle, where most happens.
    commands: fc.array(command, { maxLength: 60, size: "max" }).map((rest) => [["connect"], ["opens"], ...rest]),
  });
  await fc.assert(fc.asyncProperty(scripts, check), { numRuns: RUNS, seed: SEED, errorWithCause: true });
  random.mock.restore();
});
