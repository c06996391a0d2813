// The connection part of the protocol module, against a socket of our own and against the real server.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { afterEach, describe, mock, test } from "node:test";
import WebSocket from "ws";
import { ButacaClient, isValidClientId, isValidId } from "../../static/butaca-client.js";
import { waitBeforeReturn } from "../../static/butaca-protocol.js";
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
  const client = new ButacaClient({ url: "ws://x:1/", clientId: "ana", userInfo: { name: "Ana" }, protocol: "v1", WebSocket: FakeSocket, ...options });
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

  test("that JSON cannot hold are refused, and nothing stays pending", async () => {
    const { client, socket } = connected();
    socket.open();
    const loop = {};
    loop.self = loop;
    const thrower = {
      get name() {
        throw new Error("no name");
      },
    };
    for (const info of [loop, { n: 1n }, thrower, { name: "x".repeat(70_000) }]) {
      const outcome = await client.select("hall", "A1", info);
      assert.equal(outcome.ok, false);
      assert.equal(outcome.code, "bad_request");
      assert.equal(client.room("hall").seat("A1").status, "free");
    }
    assert.deepEqual(socket.sent, []);
    void client.select("hall", "A1", {});
    assert.equal(socket.sent.length, 1, "the seat is not busy");
  });

  test("whose ids are none are refused here", async () => {
    const { client, socket } = connected();
    socket.open();
    for (const id of ["", "a\nb", "\ud83c", "x".repeat(129), 7, undefined, null]) {
      assert.equal((await client.select("hall", id)).code, "bad_request");
      assert.equal((await client.release(id, "A1")).code, "bad_request");
      assert.equal((await client.join(id)).code, "bad_request");
    }
    assert.deepEqual(socket.sent, []);
  });

  test("carry half an emoji as the sign for what cannot be read", () => {
    const { client, socket } = connected();
    socket.open();
    void client.select("hall", "A1", { name: "Ana 🎭".slice(0, 5), "\udfad": ["🎭", "\\ud83c", '"\ud83c"'] });
    assert.deepEqual(socket.sent[0].user_info, { name: "Ana \ufffd", "\ufffd": ["🎭", "\\ud83c", '"\ufffd"'] });
  });

  test("that the socket does not take are offline", async () => {
    const { client, socket } = connected();
    socket.open();
    socket.send = () => {
      throw new Error("InvalidStateError");
    };
    assert.equal((await client.select("hall", "A1")).code, "offline");
    assert.equal(client.room("hall").seat("A1").status, "free");
  });

  test("that are passed over by the next reply are told of, and a late reply still says what is mine", async () => {
    const { client, socket } = connected();
    socket.open();
    const [one, two] = [client.select("hall", "A1"), client.select("hall", "A2")];
    socket.says({ type: "seat_selected", seat_id: "A2", ...inHall, seq: 1 });
    assert.equal((await two).ok, true);
    assert.equal((await one).code, "unanswered");
    assert.equal(client.room("hall").seat("A1").status, "free");
    socket.says({ type: "seat_selected", seat_id: "A1", ...inHall, seq: 2 });
    assert.equal(client.room("hall").seat("A1").status, "mine");
  });

  test("and frames that make no sense are survived", () => {
    const { client, socket } = connected();
    socket.open();
    void client.join("hall");
    for (const selections of [[null], [7], [{}], "A1"]) socket.says({ type: "current_selections", room_id: "hall", selections });
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

  test("does not ask again for what has expired meanwhile, on the server's clock", () => {
    const start = Date.parse("2026-01-15T12:00:00Z");
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: start });
    const { client, socket } = connected();
    void client.join("hall");
    socket.open();
    // The server's clock is ninety minutes behind.
    socket.says({ type: "room_joined", ...inHall, seq: 0, epoch: "e", now: new Date(start - 5_400_000).toISOString() });
    for (const [seat_id, left] of [["A1", 60_000], ["A2", 1_000]]) {
      void client.select("hall", seat_id);
      const expires_at = new Date(start - 5_400_000 + left).toISOString();
      socket.says({ type: "seat_selected", seat_id, ...inHall, seq: client.room("hall").seq + 1, expires_at });
    }
    socket.close(1006);
    mock.timers.tick(15_000);
    FakeSocket.all.at(-1).open();
    assert.deepEqual(FakeSocket.all.at(-1).sent.map(({ seat_id }) => seat_id), [undefined, "A1"]);
  });

  test("asks for the seats of a room again that was never joined", async () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const { client, socket, seen } = connected();
    socket.open();
    const expires_at = new Date(Date.now() + 300_000).toISOString();
    for (const seat_id of ["A1", "A2"]) {
      void client.select("hall", seat_id);
      socket.says({ type: "seat_selected", seat_id, ...inHall, seq: 1, expires_at });
    }
    socket.close(1001);
    assert.equal(client.room("hall").seat("A1").status, "pending");
    mock.timers.tick(15_000);
    const next = FakeSocket.all.at(-1);
    next.open();
    // A hold that the server kept is given back to who joins.
    assert.deepEqual(next.sent.map(({ type, seat_id }) => seat_id ?? type), ["join_room", "A1", "A2"]);
    next.says({ type: "room_joined", ...inHall, seq: 1, epoch: "e" });
    next.says({ type: "seat_selected", seat_id: "A1", ...inHall, seq: 2, epoch: "e", expires_at });
    next.says({ type: "error", code: "seat_taken", message: "", room_id: "hall", seat_id: "A2", request_type: "select_seat" });
    assert.deepEqual(next.sent.at(-1), { type: "leave_room", room_id: "hall" });
    next.says({ type: "room_left", ...inHall });
    assert.deepEqual(["A1", "A2"].map((seat) => client.room("hall").seat(seat).status), ["mine", "free"]);
    assert.deepEqual(seen.at(-1), { type: "lost", roomId: "hall", seatId: "A2", code: "seat_taken", message: "" });
    assert.equal(next.sent.length, 4);
  });

  test("keeps no seat that was given back meanwhile, in a room that was left meanwhile", () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    const { client, socket } = connected();
    socket.open();
    void client.join("hall");
    socket.says({ type: "room_joined", ...inHall, seq: 0, epoch: "e" });
    for (const [index, seat_id] of ["A1", "A2"].entries()) {
      void client.select("hall", seat_id);
      socket.says({ type: "seat_selected", seat_id, ...inHall, seq: index + 1, epoch: "e" });
    }
    socket.close(1006);
    void client.release("hall", "A1");
    void client.leave("hall");
    assert.deepEqual(["A1", "A2"].map((seat) => client.room("hall").seat(seat).status), ["free", "pending"]);
    mock.timers.tick(15_000);
    FakeSocket.all.at(-1).open();
    assert.deepEqual(FakeSocket.all.at(-1).sent.map(({ type, seat_id }) => seat_id ?? type), ["join_room", "A2"]);
  });

  test("tells of a hold that ran out before the server was back", () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const { client, socket, seen } = connected();
    socket.open();
    void client.select("hall", "A1");
    socket.says({ type: "seat_selected", seat_id: "A1", ...inHall, seq: 1, expires_at: new Date(Date.now() + 300_000).toISOString() });
    socket.close(1006);
    for (let minute = 0; minute < 6; minute += 1) {
      mock.timers.tick(60_000);
      FakeSocket.all.at(-1).close(1006);
    }
    assert.equal(client.room("hall").seat("A1").status, "free");
    assert.deepEqual(seen.filter(({ type }) => type === "lost").map(({ code }) => code), ["expired"]);
  });

  test("is lost with its seats when they are not to be asked for again", () => {
    const { client, socket, seen } = connected({ reclaim: false });
    socket.open();
    void client.select("hall", "A1");
    socket.says({ type: "seat_selected", seat_id: "A1", ...inHall, seq: 1 });
    socket.close(1006);
    assert.equal(client.room("hall").seat("A1").status, "free");
    assert.equal(seen.at(-1).code, "disconnected");
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

describe("an attempt to connect", () => {
  test("has a time limit, and the next one follows", () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    const { client, socket, seen } = connected({ connectMs: 4_000 });
    mock.timers.tick(3_999);
    assert.equal(client.status, "connecting");
    mock.timers.tick(1);
    assert.equal(client.status, "waiting");
    assert.equal(socket.readyState, 3, "it was given up");
    assert.match(seen.at(-1).reason, /no connection within 4000 ms/);
    mock.timers.tick(500);
    assert.equal(client.status, "connecting");
    FakeSocket.all.at(-1).open();
    mock.timers.tick(4_000);
    assert.equal(client.status, "open", "the limit ends with the attempt");
    socket.onopen({});
    socket.onclose({ code: 1006, reason: "" });
    assert.equal(client.status, "open", "what was given up is not heard");
  });

  test("takes ten seconds unless told otherwise", () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    const { client } = connected({ connectMs: undefined });
    mock.timers.tick(9_999);
    assert.equal(client.status, "connecting");
    mock.timers.tick(1);
    assert.equal(client.status, "waiting");
  });

  test("is given up at a port that says nothing", async () => {
    const mute = createServer((socket) => socket.on("error", () => {}).resume());
    await new Promise((resolve) => mute.listen(0, "127.0.0.1", resolve));
    const client = new ButacaClient({ url: `ws://127.0.0.1:${mute.address().port}`, clientId: "ana", WebSocket, connectMs: 50 });
    clients.push(client);
    const waiting = new Promise((resolve) => client.addEventListener("status", ({ detail }) => detail.status === "waiting" && resolve()));
    client.connect();
    await waiting;
    client.close();
    await new Promise((resolve) => mute.close(resolve));
  });
});

describe("close codes", () => {
  const comesBack = (code) => {
    const { client, socket, seen } = connected();
    socket.open();
    void client.select("hall", "A1");
    socket.says({ type: "seat_selected", seat_id: "A1", ...inHall, seq: 1 });
    socket.close(code);
    const { status } = client;
    assert.equal(seen.some(({ type }) => type === "lost"), status === "closed", "who does not come back has lost the seat");
    assert.equal(client.room("hall").seat("A1").status, status === "closed" ? "free" : "pending");
    client.close();
    return status === "waiting";
  };

  test("do in the module what the guides say", async () => {
    for (const [path, yes] of [["WEBSOCKET_GUIDE.md", "yes"], ["es/GUIA_WEBSOCKET.md", "sí"]]) {
      const guide = await readFile(new URL(`../../docs/${path}`, import.meta.url), "utf8");
      const rows = [...guide.matchAll(/^\| (\d{4}(?:[-,] ?\d{4})*) \|[^|]*\| ([^|]*) \|$/gm)];
      assert.ok(rows.length >= 9, `${path}: ${rows.length} rows`);
      for (const [, codes, back] of rows.filter(([, codes]) => codes !== "1000")) {
        for (const code of codes.match(/\d{4}/g).map(Number)) assert.equal(comesBack(code), back.startsWith(yes), `${path}: ${code}`);
      }
    }
  });

  test("that come back do so after a random wait, and later after too many messages", () => {
    const bounds = { retryMinMs: 500, retryMaxMs: 15_000 };
    for (let tries = 0; tries < 100; tries += 1) {
      for (const code of [1000, 1001, 1005, 1006, 1011, 1012, 3000, 4000, 4008, 4012, 4499]) {
        const wait = waitBeforeReturn(code, 0, bounds);
        assert.ok(wait >= 250 && wait <= 500, `${code}: ${wait}`);
      }
      const wait = waitBeforeReturn(4013, 0, bounds);
      assert.ok(wait >= 15_000 && wait <= 30_000, `4013: ${wait}`);
    }
    assert.notEqual(new Set(Array.from({ length: 50 }, () => waitBeforeReturn(4013, 0, bounds))).size, 1);
  });

  test("for good leave the way back to the user", () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    const { client, socket } = connected();
    void client.join("hall");
    socket.open();
    socket.close(4500);
    mock.timers.tick(600_000);
    assert.equal(FakeSocket.all.length, 1);
    client.connect();
    FakeSocket.all.at(-1).open();
    assert.deepEqual(FakeSocket.all.at(-1).sent, [{ type: "join_room", room_id: "hall" }]);
  });
});

describe("too many messages", () => {
  const limited = (more) => ({ type: "error", code: "rate_limited", message: "too many messages", ...more });

  test("are followed by the silence that was asked for", async () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const { client, socket, seen } = connected();
    socket.open();
    const asked = client.select("hall", "A1");
    socket.says(limited({ room_id: "hall", seat_id: "A1", request_type: "select_seat", retry_after_ms: 3_000 }));
    assert.deepEqual(await asked, { ok: false, code: "rate_limited", message: "too many messages", retryAfterMs: 3_000 });
    mock.timers.tick(1_000);
    assert.equal((await client.select("hall", "A2")).retryAfterMs, 2_000);
    assert.equal(seen.at(-1).code, "rate_limited");
    assert.equal(client.room("hall").seat("A2").status, "free");
    void client.join("hall");
    assert.equal(socket.sent.length, 1);
    mock.timers.tick(2_000);
    assert.deepEqual(socket.sent.at(-1), { type: "join_room", room_id: "hall" }, "what is owed is made up for");
    assert.equal(socket.sent.length, 2);
  });

  test("silence lasts over a new connection", () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const { client, socket } = connected();
    socket.open();
    void client.join("hall");
    socket.says(limited({ room_id: "hall", request_type: "join_room", retry_after_ms: 20_000 }));
    socket.close(1001);
    mock.timers.tick(500);
    const next = FakeSocket.all.at(-1);
    next.open();
    mock.timers.tick(19_499);
    assert.deepEqual(next.sent, []);
    mock.timers.tick(1);
    assert.deepEqual(next.sent, [{ type: "join_room", room_id: "hall" }]);
  });

  test("are not made by coming back with many seats", () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const { client, socket } = connected();
    socket.open();
    for (let seat = 0; seat < 120; seat += 1) {
      void client.select("hall", `A${seat}`);
      socket.says({ type: "seat_selected", seat_id: `A${seat}`, ...inHall, seq: seat + 1 });
    }
    socket.close(1001);
    mock.timers.tick(500);
    const next = FakeSocket.all.at(-1);
    next.open();
    const counts = [];
    for (let second = 0; second < 4; second += 1) {
      counts.push(next.sent.length);
      mock.timers.tick(1_000);
    }
    assert.deepEqual(counts, [50, 100, 121, 121]);
  });
});

test("ids are checked as the server checks them", () => {
  assert.ok(isValidId("a") && isValidId("ñ".repeat(64)) && isValidId("x:y z"));
  for (const bad of ["", "a".repeat(129), "ñ".repeat(65), "a\nb", "a\u0085b", "Ana \ud83c", "\udfad", "a\u202e", "\u200b", "a\u2028b", 7, undefined]) {
    assert.ok(!isValidId(bad));
    assert.throws(() => new ButacaClient({ url: "ws://x", clientId: bad }), RangeError);
  }
  for (const taken of ["system", "holder:", "holder:kiosk 1"]) {
    assert.ok(isValidId(taken) && !isValidClientId(taken));
    assert.throws(() => new ButacaClient({ url: "ws://x", clientId: taken }), RangeError);
  }
  for (const free of ["System", "holder", "a system"]) assert.ok(isValidClientId(free));
  assert.ok(isValidId("Ana 🎭") && isValidId("❤\ufe0f"));
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
    const client = new ButacaClient({ url: server.ws, clientId, userInfo: { name: clientId }, protocol: "v1", WebSocket, retryMinMs: 50, retryMaxMs: 200 });
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

  test("a restart with a store gives the same holds back", async () => {
    const server = await start({ STORE: "embedded" });
    const ana = await open(server, "ana");
    const { frame } = await ana.select("hall", "A1");
    const waiting = event(ana, "status", ({ status }) => status === "waiting");
    await server.end();
    await waiting;
    const back = event(ana, "change", () => ana.room("hall").seat("A1").status === "mine");
    await server.restart();
    await back;
    assert.equal(ana.room("hall").seat("A1").expiresAt, Date.parse(frame.expires_at));
  });

  test("a restart is survived by holds in a room that was not joined", async () => {
    for (const settings of [{}, { STORE: "embedded" }]) {
      const server = await start(settings);
      const client = new ButacaClient({ url: server.ws, clientId: "ana", protocol: "v1", WebSocket, retryMinMs: 50, retryMaxMs: 200 });
      clients.push(client);
      const opened = event(client, "status", ({ status }) => status === "open");
      client.connect();
      await opened;
      assert.equal((await client.select("hall", "A1")).ok, true);
      const waiting = event(client, "status", ({ status }) => status === "waiting");
      await server.end();
      await waiting;
      const settled = event(client, "message", ({ direction, frame }) => direction === "in" && frame.type === "room_left");
      await server.restart();
      await settled;
      assert.equal(client.room("hall").seat("A1").status, "mine");
      assert.equal(client.room("hall").joined, false);
    }
  });

  test("a restart without a store is survived", async () => {
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
