// The connection part of the protocol module, against a socket of our own and against the real server.

import assert from "node:assert/strict";
import { afterEach, describe, mock, test } from "node:test";
import WebSocket from "ws";
import { ButacaClient, isValidId } from "../../static/butaca-client.js";
import { Server } from "./lib/server.mjs";

/** Clients and servers of the present test; what is left open would keep the process alive. */
const clients = [];
const servers = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  mock.timers.reset();
  for (const server of servers.splice(0)) await server.stop();
});

/** A socket whose other end is the test. */
class FakeSocket {
  static all = [];
  readyState = 0;
  sent = [];

  constructor(url) {
    this.url = url;
    FakeSocket.all.push(this);
  }

  open() {
    this.readyState = 1;
    this.onopen?.({});
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  says(frame) {
    this.onmessage?.({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
  }

  close(code = 1005) {
    this.readyState = 3;
    this.onclose?.({ code, reason: "" });
  }
}

function connected(options = {}) {
  FakeSocket.all = [];
  const client = new ButacaClient({ url: "ws://x:1/", clientId: "ana", userInfo: { name: "Ana" }, WebSocket: FakeSocket, ...options });
  clients.push(client);
  const seen = [];
  for (const type of ["status", "refused", "ended", "lost", "gap"]) {
    client.addEventListener(type, ({ detail }) => seen.push({ type, ...detail }));
  }
  client.connect();
  const socket = FakeSocket.all[0];
  return { client, socket, seen };
}

const inHall = { room_id: "hall", client_id: "ana" };

describe("requests", () => {
  test("go to the address of the client, encoded", () => {
    const { socket } = connected({ clientId: "ñ/ü ?" });
    assert.equal(socket.url, "ws://x:1/ws/%C3%B1%2F%C3%BC%20%3F");
  });

  test("are answered in order, refusals too", async () => {
    const { client, socket } = connected();
    socket.open();
    const [one, two, three] = [client.select("hall", "A1"), client.select("hall", "A2"), client.release("hall", "A3")];
    assert.equal(client.room("hall").seat("A1").status, "pending");
    socket.says({ type: "seat_selected", seat_id: "A1", ...inHall, seq: 1 });
    socket.says({ type: "error", code: "seat_taken", message: "taken", room_id: "hall", seat_id: "A2", request_type: "select_seat" });
    socket.says({ type: "error", code: "not_held", message: "free", room_id: "hall", seat_id: "A3", request_type: "release_seat" });
    assert.equal((await one).ok, true);
    assert.deepEqual(await two, { ok: false, code: "seat_taken", message: "taken" });
    assert.equal((await three).code, "not_held");
    assert.equal(client.room("hall").seat("A1").status, "mine");
    assert.equal(client.room("hall").seat("A2").status, "free");
  });

  test("are not answered by what others do under the same name", async () => {
    const { client, socket } = connected();
    socket.open();
    const asked = client.select("hall", "A1");
    socket.says({ type: "seat_selected", seat_id: "A1", ...inHall, user_info: {}, seq: 1 });
    assert.equal(client.room("hall").seat("A1").status, "pending");
    socket.says({ type: "error", code: "seat_taken", message: "", room_id: "hall", seat_id: "A1", request_type: "select_seat" });
    assert.equal((await asked).code, "seat_taken");
    assert.equal(client.room("hall").seat("A1").status, "other");
  });

  test("to release are not answered by the expiry that came first", async () => {
    const { client, socket, seen } = connected();
    socket.open();
    void client.select("hall", "A1");
    socket.says({ type: "seat_selected", seat_id: "A1", ...inHall, seq: 1 });
    const asked = client.release("hall", "A1");
    socket.says({ type: "seat_released", seat_id: "A1", ...inHall, seq: 2, reason: "expired" });
    assert.deepEqual(seen.at(-1), { type: "ended", roomId: "hall", seatId: "A1", reason: "expired" });
    socket.says({ type: "error", code: "not_held", message: "", room_id: "hall", seat_id: "A1", request_type: "release_seat" });
    assert.equal((await asked).code, "not_held");
  });

  test("refused without a word of what they were belong to the oldest one", async () => {
    const { client, socket } = connected();
    socket.open();
    const asked = client.select("hall", "A1");
    socket.says({ type: "error", message: "Seat already selected" });
    assert.deepEqual(await asked, { ok: false, code: "error", message: "Seat already selected" });
  });

  test("without a connection fail at once, and those in flight when it is lost", async () => {
    const { client, socket } = connected();
    assert.equal((await client.select("hall", "A1")).code, "offline");
    socket.open();
    const asked = client.select("hall", "A1");
    assert.equal((await client.select("hall", "A1")).code, "busy");
    socket.close(1006);
    assert.equal((await asked).code, "offline");
    assert.equal(client.room("hall").seat("A1").status, "free");
  });

  test("and frames that make no sense are survived", () => {
    const { client, socket } = connected();
    socket.open();
    for (const text of ["", "{", "null", "[]", "7", '{"type":7}', '{"type":"novelty"}', '{"type":"current_selections","room_id":"hall"}']) socket.says(text);
    assert.equal(client.status, "open");
  });
});

test("a hole asks for the full state, once", () => {
  const { client, socket, seen } = connected();
  void client.join("hall");
  socket.open();
  socket.says({ type: "room_joined", ...inHall, seq: 1, epoch: "e", now: "2026-01-15T10:30:00.000Z" });
  socket.says({ type: "seat_selected", seat_id: "A3", room_id: "hall", client_id: "luis", user_info: {}, seq: 3, epoch: "e" });
  socket.says({ type: "seat_selected", seat_id: "A9", room_id: "hall", client_id: "luis", user_info: {}, seq: 9, epoch: "e" });
  assert.equal(seen.filter(({ type }) => type === "gap").length, 1);
  assert.equal(socket.sent.filter(({ type }) => type === "join_room").length, 2);
});

test("the countdown runs on the server's clock", () => {
  mock.timers.enable({ apis: ["Date"], now: Date.parse("2026-01-15T12:00:00Z") });
  const { client, socket } = connected();
  void client.join("hall");
  socket.open();
  socket.says({ type: "room_joined", ...inHall, seq: 0, epoch: "e", now: "2026-01-15T10:30:00.000Z" });
  void client.select("hall", "A1");
  socket.says({ type: "seat_selected", seat_id: "A1", ...inHall, seq: 1, epoch: "e", expires_at: "2026-01-15T10:35:00.000Z" });
  assert.equal(client.remaining(client.room("hall").seat("A1")), 300_000);
  mock.timers.tick(60_000);
  assert.equal(client.remaining(client.room("hall").seat("A1")), 240_000);
});

describe("a lost connection", () => {
  test("comes back later and later, never all at the same moment", () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const { client, socket, seen } = connected();
    socket.close(1006);
    const waits = [];
    for (let attempt = 0; attempt < 8; attempt += 1) {
      const { retryInMs } = seen.findLast(({ type, status }) => type === "status" && status === "waiting");
      waits.push(retryInMs);
      mock.timers.tick(retryInMs);
      FakeSocket.all.at(-1).close(1006);
    }
    const bounds = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000];
    waits.forEach((wait, index) => assert.ok(wait >= bounds[index] / 2 && wait <= bounds[index], `wait ${index}: ${wait}`));
    client.close();
    const sockets = FakeSocket.all.length;
    mock.timers.tick(60_000);
    assert.equal(FakeSocket.all.length, sockets, "closed means closed");
  });

  test("joins again and asks for its seats again", async () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    const { client, socket, seen } = connected();
    void client.join("hall");
    socket.open();
    socket.says({ type: "room_joined", ...inHall, seq: 0, epoch: "e", now: new Date().toISOString() });
    const expires_at = new Date(Date.now() + 300_000).toISOString();
    for (const seat_id of ["A1", "A2"]) void client.select("hall", seat_id);
    for (const [index, seat_id] of ["A1", "A2"].entries()) socket.says({ type: "seat_selected", seat_id, ...inHall, seq: index + 1, expires_at });
    socket.close(1001);
    mock.timers.tick(15_000);
    const next = FakeSocket.all.at(-1);
    next.open();
    assert.deepEqual(next.sent, [
      { type: "join_room", room_id: "hall" },
      { type: "select_seat", room_id: "hall", seat_id: "A1", user_info: { name: "Ana" } },
      { type: "select_seat", room_id: "hall", seat_id: "A2", user_info: { name: "Ana" } },
    ]);
    next.says({ type: "room_joined", ...inHall, seq: 5, epoch: "e2", now: new Date().toISOString() });
    next.says({ type: "seat_selected", seat_id: "A1", ...inHall, seq: 6, expires_at });
    next.says({ type: "error", code: "seat_taken", message: "", room_id: "hall", seat_id: "A2", request_type: "select_seat" });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(client.room("hall").seat("A1").status, "mine");
    assert.deepEqual(seen.at(-1), { type: "lost", roomId: "hall", seatId: "A2", code: "seat_taken", message: "" });
  });

  test("is noticed by silence", () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    const { client, socket } = connected({ heartbeatMs: 1_000 });
    socket.open();
    mock.timers.tick(1_000);
    assert.deepEqual(socket.sent.at(-1), { type: "ping" });
    socket.says({ type: "pong", timestamp: new Date().toISOString() });
    mock.timers.tick(1_000);
    assert.equal(client.status, "open");
    mock.timers.tick(1_000);
    assert.equal(client.status, "waiting");
  });

  test("leaves no handler behind", () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    const { client, socket } = connected();
    void client.join("hall");
    socket.open();
    socket.close(1006);
    mock.timers.tick(15_000);
    const next = FakeSocket.all.at(-1);
    next.open();
    next.says({ type: "room_joined", ...inHall, seq: 0, epoch: "e" });
    socket.says({ type: "seat_selected", seat_id: "A1", room_id: "hall", client_id: "luis", user_info: {}, seq: 1 });
    assert.equal(client.room("hall").seat("A1").status, "free");
    socket.close(1006);
    assert.equal(client.status, "open");
  });
});

test("ids are checked as the server checks them", () => {
  assert.ok(isValidId("a") && isValidId("ñ".repeat(64)) && isValidId("x:y z"));
  for (const bad of ["", "a".repeat(129), "ñ".repeat(65), "a\nb", "a\u0085b", 7, undefined]) assert.ok(!isValidId(bad));
  assert.throws(() => new ButacaClient({ url: "ws://x", clientId: "" }), RangeError);
});

describe("against the real server", () => {
  /** Waits for an event of a client that fits. */
  const event = (client, type, fits = () => true) =>
    new Promise((resolve) => {
      const look = ({ detail }) => {
        if (!fits(detail)) return;
        client.removeEventListener(type, look);
        resolve(detail);
      };
      client.addEventListener(type, look);
    });

  async function start(settings) {
    const server = await Server.start(settings);
    servers.push(server);
    return server;
  }

  async function open(server, clientId) {
    const client = new ButacaClient({ url: server.ws, clientId, userInfo: { name: clientId }, WebSocket, retryMinMs: 50, retryMaxMs: 200 });
    clients.push(client);
    const ready = event(client, "change", () => client.room("hall").joined);
    void client.join("hall");
    client.connect();
    await ready;
    return client;
  }

  test("two clients agree on who has what", async () => {
    const server = await start({ MAX_SEATS_PER_CLIENT: "3" });
    const [ana, luis] = [await open(server, "ana"), await open(server, "luis")];
    const seen = event(luis, "change", () => luis.room("hall").seat("A1").status === "other");
    assert.equal((await ana.select("hall", "A1")).ok, true);
    await seen;
    assert.deepEqual(luis.room("hall").seat("A1").userInfo, { name: "ana" });
    assert.equal((await luis.select("hall", "A1")).code, "seat_taken");
    assert.equal((await luis.release("hall", "A1")).code, "not_owner");
    assert.equal((await luis.release("hall", "A2")).code, "not_held");
    assert.equal((await ana.select("hall", "A1")).ok, true, "a second select is answered again");
    for (const seat of ["A2", "A3"]) assert.equal((await ana.select("hall", seat)).ok, true);
    assert.equal((await ana.select("hall", "A4")).code, "limit_exceeded");
    assert.ok((await ana.ping()) >= 0);
    const left = ana.remaining(ana.room("hall").seat("A1"));
    assert.ok(left > 290_000 && left <= 300_100, `${left}`);
    const freed = event(luis, "change", () => luis.room("hall").holds.size === 0);
    ana.close();
    await freed;
  });

  test("a restart is survived", async () => {
    const server = await start();
    const ana = await open(server, "ana");
    assert.equal((await ana.select("hall", "A1")).ok, true);
    const waiting = event(ana, "status", ({ status }) => status === "waiting");
    await server.kill();
    await waiting;
    const back = event(ana, "change", () => ana.room("hall").seat("A1").status === "mine");
    await server.restart();
    await back;
  });
});
