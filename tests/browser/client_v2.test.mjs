// v2 in the protocol module, line by line, against a socket whose other end is the test or the scripted server.

import assert from "node:assert/strict";
import { afterEach, describe, mock, test } from "node:test";
import WebSocket from "ws";
import { ButacaClient } from "../../static/butaca-client.js";
import { ScriptedServer } from "./lib/scripted.mjs";
import { ScriptedV2, smallLayout } from "./lib/scripted_v2.mjs";
import { Server } from "./lib/server.mjs";

const clients = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  mock.timers.reset();
});

function memory() {
  const map = new Map();
  return { map, getItem: (key) => map.get(key) ?? null, setItem: (key, value) => map.set(key, value), removeItem: (key) => map.delete(key) };
}

function clientOf(server, options = {}) {
  const { WebSocket: Socket } = server;
  const fetch = async () => ({ ok: true, json: async () => smallLayout(6) });
  const client = new ButacaClient({ url: "ws://x:1/", clientId: "ana", storage: null, fetch, WebSocket: Socket, ...options });
  clients.push(client);
  client.seen = [];
  for (const type of ["status", "refused", "ended", "lost", "gap", "cart", "expiring", "room", "session", "goaway", "change"]) {
    client.addEventListener(type, ({ detail }) => client.seen.push({ type, ...detail }));
  }
  return client;
}

/** A client that is open and in its room. */
function opened(options = {}, server = new ScriptedV2({ layouts: { hall: smallLayout(6) } })) {
  const client = clientOf(server, options);
  void client.join("hall");
  client.connect();
  server.newest.opens();
  drain(server);
  return { client, server };
}

function drain(server) {
  while (server.newest.queue.length > 0) server.newest.deliver();
}

const told = (client, type) => client.seen.filter((event) => event.type === type);
const soon = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

/** Asks, lets the server answer, and gives the outcome. */
async function asked(server, promise) {
  drain(server);
  return promise;
}

describe("the version", () => {
  test("is asked for in the address, and is v2 as soon as hello came", () => {
    const server = new ScriptedV2();
    const client = clientOf(server);
    client.connect();
    assert.equal(server.newest.address, "ws://x:1/ws/ana?v=2");
    server.newest.opens();
    assert.equal(client.status, "connecting", "not before hello");
    server.newest.deliver();
    assert.deepEqual([client.status, client.protocol], ["open", "v2"]);
  });

  test("v1 is asked for without a word more", () => {
    const server = new ScriptedServer({ old: false });
    const client = clientOf(server, { protocol: "v1" });
    client.connect();
    server.newest.opens();
    assert.deepEqual([client.status, client.protocol, server.newest.queue], ["open", "v1", []]);
  });

  test("of a server that knows only v1 is taken when asked to", async () => {
    const server = new ScriptedServer({ old: false });
    const client = clientOf(server, { protocol: "auto" });
    void client.join("hall");
    client.connect();
    server.newest.opens();
    drain(server);
    assert.deepEqual([client.status, client.protocol], ["open", "v1"]);
    assert.equal((await asked(server, client.select("hall", ["A1"]))).ok, true);
    assert.equal(client.room("hall").seat("A1").status, "mine");
    for (const outcome of [client.select("hall", ["A2", "A3"]), client.selectBest("hall", 2), client.swap("hall", ["A1"], ["A2"]), client.extend("hall")]) {
      assert.equal((await outcome).code, "unsupported");
    }
  });

  test("of a server that knows only v1 is an error that says so", () => {
    const server = new ScriptedServer({ old: false });
    const client = clientOf(server);
    client.connect();
    server.newest.opens();
    drain(server);
    const { status, code, reason } = told(client, "status").at(-1);
    assert.equal(status, "closed");
    assert.equal(code, 4900);
    assert.match(reason, /does not speak v2.*"auto"/);
  });

  test("of the real server is found", async () => {
    const server = await Server.start();
    const client = new ButacaClient({ url: server.ws, clientId: "ana", protocol: "auto", WebSocket });
    const isOpen = new Promise((resolve) => client.addEventListener("status", () => client.status === "open" && resolve()));
    client.connect();
    await isOpen;
    assert.equal((await client.select("hall", "A1")).ok, true);
    client.close();
    await server.stop();
  });
});

describe("the greeting", () => {
  test("has a time limit", () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const server = new ScriptedV2();
    const client = clientOf(server);
    client.connect();
    server.newest.opens();
    mock.timers.tick(10_000);
    assert.equal(client.status, "waiting");
    assert.match(told(client, "status").at(-1).reason, /no connection within 10000 ms/);
  });

  test("shows a token where one is asked for, from a function too", async () => {
    for (const [token, status] of [["good", "open"], [async () => "good", "open"], ["bad", "closed"], [undefined, "closed"], [() => { throw new Error("no"); }, "closed"]]) {
      const server = new ScriptedV2({ auth: "required" });
      const client = clientOf(server, { token });
      void client.join("hall");
      client.connect();
      server.newest.opens();
      for (let round = 0; round < 3; round += 1) {
        drain(server);
        await soon();
      }
      assert.equal(client.status, status, String(token));
      if (status === "closed") assert.equal(told(client, "status").at(-1).code, 4500);
      else assert.equal(client.room("hall").joined, true);
    }
  });
});

describe("the session", () => {
  test("outlives a reload with its cart, and positions outlive an interruption", async () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const storage = memory();
    const { client, server } = opened({ storage });
    assert.equal((await asked(server, client.select("hall", ["S1", "S2"]))).ok, true);
    const before = client.sessionId;
    client.close();
    server.notice();
    const again = opened({ storage }, server).client;
    assert.equal(again.sessionId, before);
    assert.deepEqual(again.room("hall").cart.seats, ["S1", "S2"]);
    assert.deepEqual(told(again, "lost"), []);
    server.newest.ends(1006);
    server.stranger("hall", "S5");
    mock.timers.tick(600);
    server.newest.opens();
    drain(server);
    assert.equal(told(again, "gap").length, 0);
    assert.equal(again.room("hall").states[5], 1);
    assert.equal(again.room("hall").position.seq, server.room("hall").seq);
  });

  test("of a person with a token is not lost with its connection: the map tells what is left", async () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const server = new ScriptedV2({ layouts: { hall: smallLayout(6) }, auth: "required" });
    const client = clientOf(server, { token: "good" });
    const settle = async () => {
      for (let round = 0; round < 4; round += 1) {
        drain(server);
        await soon();
      }
    };
    void client.join("hall");
    client.connect();
    server.newest.opens();
    await settle();
    await asked(server, client.select("hall", ["S1", "S2"]));
    server.resume = (_socket, _request, error) => error("session_unknown");
    server.newest.ends(1006);
    mock.timers.tick(600);
    server.newest.opens();
    server.room("hall").carts.set(server.newest.session, { seats: ["S1"], extends: 0, orders: [], expiresAt: Date.now() + 60_000 });
    await settle();
    assert.deepEqual(client.room("hall").cart.seats, ["S1", "S2"], "nothing was said of it yet");
    server.tellCart(server.room("hall"), server.newest.session, "restored", []);
    await settle();
    assert.deepEqual(told(client, "lost").map(({ seatId }) => seatId), ["S2"]);
    assert.deepEqual(client.room("hall").cart.seats, ["S1"]);
  });

  test("that the server does not know any more is told as lost", async () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const { client, server } = opened();
    await asked(server, client.select("hall", ["S1"]));
    server.restart(1001, false);
    mock.timers.tick(600);
    server.newest.opens();
    drain(server);
    assert.deepEqual(told(client, "lost").map(({ seatId, code }) => [seatId, code]), [["S1", "disconnected"]]);
    assert.deepEqual(client.room("hall").cart.seats, []);
  });

  test("of a duplicated tab goes on there, and the older says so", async () => {
    const storage = memory();
    const { client, server } = opened({ storage });
    await asked(server, client.select("hall", ["S1"]));
    server.rival();
    assert.equal(client.status, "closed");
    assert.equal(told(client, "status").at(-1).code, 4505);
    assert.deepEqual(told(client, "lost"), [], "nothing is lost: it is there");
    assert.deepEqual(client.room("hall").cart.seats, []);
    client.connect(); // Back to here, because a person wants it.
    server.newest.opens();
    drain(server);
    assert.deepEqual(client.room("hall").cart.seats, ["S1"]);
  });

  test("is not shared by two clients of one page, nor by two tabs", async () => {
    const storage = memory();
    const server = new ScriptedV2({ layouts: { hall: smallLayout(6) } });
    const one = opened({ storage }, server).client;
    const two = opened({ storage }, server).client;
    const other = opened({ storage: memory() }, server).client;
    assert.equal(new Set([one, two, other].map(({ sessionId }) => sessionId)).size, 3);
    assert.deepEqual([one, two, other].map(({ status }) => status), ["open", "open", "open"]);
  });

  test("is none where the storage is broken", () => {
    const broken = { getItem: () => "{", setItem: () => { throw new Error("full"); }, removeItem: () => { throw new Error("no"); } };
    assert.equal(opened({ storage: broken }).client.status, "open");
  });
});

describe("a cart", () => {
  test("is taken whole or not at all, and the refusal says what is in the way", async () => {
    const { client, server } = opened();
    server.stranger("hall", "S2");
    const refused = await asked(server, client.select("hall", ["S1", "S2"]));
    assert.deepEqual([refused.ok, refused.code, refused.frame.conflicts], [false, "seats_unavailable", [{ seat_id: "S2", state: 1 }]]);
    assert.deepEqual(told(client, "refused").map(({ seats, code }) => [seats, code]), [[["S2"], "seats_unavailable"]]);
    assert.deepEqual(client.room("hall").own(), []);
    const held = await asked(server, client.select("hall", ["S1", "S3"]));
    assert.deepEqual(held.frame.seats, ["S1", "S3"]);
    assert.deepEqual(told(client, "cart").at(-1).cart.seats, ["S1", "S3"]);
  });

  test("is swapped, extended, given back; the best are found", async () => {
    const { client, server } = opened();
    await soon();
    await asked(server, client.select("hall", "S1"));
    assert.equal((await asked(server, client.swap("hall", ["S1"], ["S4"]))).ok, true);
    assert.equal(client.room("hall").seat("S1").status, "free", "before the map has told it");
    server.tick();
    drain(server);
    assert.equal(client.room("hall").seat("S1").status, "free");
    assert.equal((await asked(server, client.extend("hall"))).ok, true);
    assert.equal((await asked(server, client.extend("hall"))).code, "extend_limit");
    assert.deepEqual((await asked(server, client.selectBest("hall", 2))).frame.seats, ["S0", "S1"]);
    const none = await asked(server, client.selectBest("hall", { quantity: 9 }));
    assert.deepEqual([none.code, none.frame.free], ["not_enough_seats", 3]);
    assert.equal((await asked(server, client.releaseAll("hall"))).ok, true);
    assert.deepEqual(client.room("hall").own(), []);
  });

  test("is refused here where it cannot be right, and without a connection", async () => {
    const { client, server } = opened();
    for (const seats of [[], ["S1", "S1"], [""], Array.from({ length: 51 }, (_, index) => `S${index}`)]) {
      assert.equal((await client.select("hall", seats)).code, "bad_request");
    }
    assert.equal((await client.swap("hall", ["S1"], ["S1"])).code, "bad_request");
    for (const quantity of [0, 51, 1.5, "2"]) assert.equal((await client.selectBest("hall", quantity)).code, "bad_request");
    assert.equal((await client.select("hall", "S1", { n: 1n })).code, "bad_request");
    const waiting = client.select("hall", "S1");
    assert.equal(client.room("hall").seat("S1").status, "pending");
    assert.equal((await client.release("hall", "S1")).code, "busy");
    server.newest.ends(1006);
    assert.equal((await waiting).code, "offline");
    assert.equal((await client.select("hall", "S1")).code, "offline");
  });

  test("warns, expires, is ordered and comes back, each told once", async () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.parse("2026-01-15T12:00:00Z") });
    const { client, server } = opened();
    await asked(server, client.select("hall", ["S1", "S2"]));
    assert.equal(client.remaining(client.room("hall").cart), 300_000);
    server.backend("checkout", "hall");
    drain(server);
    assert.equal(client.room("hall").seat("S1").status, "checkout");
    assert.equal((await asked(server, client.release("hall", "S1"))).code, "in_checkout");
    server.backend("cancel", "hall");
    drain(server);
    assert.equal(client.room("hall").seat("S1").status, "mine");
    mock.timers.tick(35_000);
    server.expire();
    drain(server);
    assert.equal(told(client, "expiring").length, 1);
    for (const ms of [15_000, 11_000]) {
      mock.timers.tick(ms);
      server.expire();
      drain(server);
    }
    assert.deepEqual(told(client, "ended").map(({ seatId, reason }) => [seatId, reason]), [["S1", "expired"], ["S2", "expired"]]);
  });
});

test("deltas apply from where the copy stands, are ignored behind it, and a hole asks for a snapshot once", () => {
  const { client, server } = opened();
  const says = (from, to, changes) => server.newest.onmessage({ data: JSON.stringify({ type: "delta", room_id: "hall", epoch: "e1", from, to, changes }) });
  const map = () => [...client.room("hall").states].join("");
  says(1, 2, [[0, 1], [3, 2]]);
  assert.equal(map(), "100200");
  says(1, 2, [[0, 3]]);
  assert.equal(map(), "100200", "behind");
  says(1, 4, [[0, 0], [5, 3]]);
  assert.equal(map(), "000203", "it overlaps");
  says(6, 6, [[1, 1]]);
  says(7, 7, [[2, 1]]);
  assert.equal(map(), "000203");
  assert.equal(told(client, "gap").length, 1);
  drain(server);
  assert.deepEqual([map(), client.room("hall").resyncing], ["000000", false], "what the server says");
});

test("a map of another life is not read by the layout of this one", () => {
  const { client, server } = opened();
  const cart = { seats: [], expires_at: null, extends_left: 1, orders: [] };
  const says = { type: "snapshot", room_id: "hall", epoch: "e2", seq: 0, states: btoa("\x55\x05"), cart };
  server.newest.onmessage({ data: JSON.stringify(says) });
  assert.equal([...client.room("hall").states].join(""), "000000", "its layout is told next");
  server.newest.onmessage({ data: JSON.stringify({ ...says, epoch: "e1", seq: 1 }) });
  assert.equal([...client.room("hall").states].join(""), "111111");
});

test("a cart is not waited away: attempts follow closely as long as its grace lasts", () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  mock.method(Math, "random", () => 1);
  for (const [seats, longest] of [[["S1"], 3_750], [[], 8_000]]) {
    const { client, server } = opened({ connectMs: 100 });
    if (seats.length > 0) void client.select("hall", seats);
    drain(server);
    server.newest.ends(1006);
    const from = Date.now();
    const waits = [];
    for (let ms = 0; ms < 60_000; ms += 50) {
      const { status, retryInMs } = told(client, "status").at(-1);
      if (status === "waiting" && waits.at(-1)?.[1] !== retryInMs) waits.push([Date.now() - from, retryInMs]);
      mock.timers.tick(50);
    }
    const within = waits.filter(([at]) => at < 15_000).map(([, wait]) => wait);
    assert.equal(Math.max(...within), longest, JSON.stringify(waits));
    assert.equal(waits.at(-1)[1], 15_000, "later there is no hurry");
    client.close();
  }
  mock.restoreAll();
});

test("a server that goes away is left when it says so", () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const { client, server } = opened();
  server.goaway([500, 500]);
  drain(server);
  assert.deepEqual(told(client, "goaway").map(({ reason, inMs }) => [reason, inMs]), [["drain", 500]]);
  mock.timers.tick(300);
  server.newest.ends(1001);
  assert.equal(told(client, "status").at(-1).retryInMs, 200);
  const before = server.sockets.length;
  mock.timers.tick(200);
  assert.equal(server.sockets.length, before + 1);
});

test("a room that is no more is not made anew, and a sale that pauses is told", () => {
  const { client, server } = opened();
  server.setSale("hall", "paused");
  drain(server);
  assert.deepEqual(told(client, "room").map(({ sale, message }) => [sale, message]), [["paused", "now paused"]]);
  server.setSale("hall", "deleted");
  drain(server);
  assert.equal(client.room("hall").joined, false);
  assert.deepEqual(server.newest.queue, []);
});

test("v1 gives back the proof that it was given", () => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
  const server = new ScriptedServer({ old: false });
  const sent = [];
  server.hear = (_, text) => sent.push(JSON.parse(text));
  const client = clientOf(server, { protocol: "v1" });
  void client.join("hall");
  client.connect();
  server.newest.opens();
  server.newest.onmessage({ data: '{"type":"room_joined","room_id":"hall","client_id":"ana","seq":0,"epoch":"e","resume":"proof"}' });
  server.newest.ends(1001);
  mock.timers.tick(600);
  server.newest.opens();
  assert.deepEqual(sent, [{ type: "join_room", room_id: "hall" }, { type: "join_room", room_id: "hall", resume: "proof" }]);
});

test("v1 knows an own seat that an order has from one that somebody else took", () => {
  const server = new ScriptedServer({ old: false });
  const client = clientOf(server, { protocol: "v1" });
  void client.join("hall");
  client.connect();
  server.newest.opens();
  drain(server);
  void client.select("hall", "A1");
  drain(server);
  const { epoch, seq } = client.room("hall");
  const looks = ["checkout", "held", "booked", "blocked"].map((status, index) => {
    const client_id = status === "blocked" ? "system" : "ana";
    server.newest.onmessage({ data: JSON.stringify({ type: "seat_selected", room_id: "hall", seat_id: "A1", client_id, user_info: {}, epoch, seq: seq + 1 + index, status, expires_at: null }) });
    return client.room("hall").seat("A1").status;
  });
  assert.deepEqual(looks, ["checkout", "mine", "booked", "blocked"]);
});
