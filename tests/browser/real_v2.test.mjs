// v2 end to end: the module, the page and the Python package against the real server. Skipped with a server of v1.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import WebSocket from "ws";
import { ButacaClient } from "../../static/butaca-client.js";
import { launch, Visitor } from "./lib/browser.mjs";
import { Gate } from "./lib/gate.mjs";
import { documented, readDocuments } from "./lib/documents.mjs";
import { Server } from "./lib/server.mjs";

let browser;
let server;
let skip;
const clients = [];
const frames = [];

before(async () => {
  server = await Server.start({ MAX_SEATS_PER_CLIENT: "4" });
  const { client } = await open("probe", { protocol: "auto" });
  skip = client.protocol === "v1" ? "the server speaks v1 only" : false;
  client.close();
  if (!skip) browser = await launch();
});

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

function memory() {
  const map = new Map();
  return { getItem: (key) => map.get(key) ?? null, setItem: (key, value) => map.set(key, value), removeItem: (key) => map.delete(key) };
}

/** A client that is open; its sockets can be cut. */
async function open(clientId, options = {}) {
  const sockets = [];
  class Socket extends WebSocket {
    constructor(address) {
      super(address);
      sockets.push(this);
    }
  }
  const client = new ButacaClient({ url: server.ws, clientId, storage: null, WebSocket: Socket, retryMinMs: 20, retryMaxMs: 100, ...options });
  clients.push(client);
  client.addEventListener("message", ({ detail }) => detail.direction === "in" && client.protocol === "v2" && frames.push(detail.frame));
  client.connect();
  await until(client, () => client.status === "open");
  return { client, cut: () => sockets.at(-1).terminate() };
}

function until(client, holds) {
  if (holds()) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (!holds()) return;
      for (const type of ["change", "status", "cart"]) client.removeEventListener(type, look);
      resolve();
    };
    for (const type of ["change", "status", "cart"]) client.addEventListener(type, look);
  });
}

const look = (client, seat) => client.room("hall").seat(seat).status;

test("carts are filled, refused, swapped, extended and given back, and everybody's map agrees", async (t) => {
  if (skip) return t.skip(skip);
  const [{ client: ana }, { client: luis }] = [await open("ana"), await open("luis")];
  for (const client of [ana, luis]) assert.equal((await client.join("hall")).ok, true);
  assert.equal((await ana.select("hall", ["A1", "A2"])).ok, true);
  assert.deepEqual(ana.room("hall").cart.seats, ["A1", "A2"]);
  await until(luis, () => look(luis, "A1") === "other" && look(luis, "A2") === "other");
  const refused = await luis.select("hall", ["A2", "A3"]);
  assert.deepEqual([refused.code, refused.frame.conflicts], ["seats_unavailable", [{ seat_id: "A2", state: 1 }]]);
  assert.equal(look(luis, "A3"), "free");
  assert.equal((await ana.swap("hall", ["A1"], ["B1"])).ok, true);
  await until(luis, () => look(luis, "A1") === "free" && look(luis, "B1") === "other");
  assert.equal((await ana.select("hall", ["C1", "C2", "C3"])).code, "limit_exceeded");
  assert.equal((await luis.release("hall", "B1")).code, "not_owner");
  assert.equal((await luis.release("hall", "Z1")).code, "not_held");
  const before = ana.remaining(ana.room("hall").cart);
  assert.equal((await ana.extend("hall")).ok, true);
  assert.ok(ana.remaining(ana.room("hall").cart) >= before);
  assert.equal((await ana.extend("hall")).code, "extend_limit");
  assert.ok((await ana.ping()) >= 0);
  assert.equal((await ana.releaseAll("hall")).ok, true);
  await until(luis, () => look(luis, "B1") === "free");
  assert.equal((await luis.leave("hall")).ok, true);
});

test("a lost connection loses nothing, and the map goes on from where it stood", async (t) => {
  if (skip) return t.skip(skip);
  const [{ client: ana, cut }, { client: luis }] = [await open("ana"), await open("luis")];
  const told = [];
  for (const type of ["lost", "ended", "gap"]) ana.addEventListener(type, ({ detail }) => told.push({ type, ...detail }));
  await ana.join("hall");
  await ana.select("hall", ["D1", "D2"]);
  const { sessionId } = ana;
  cut();
  await until(ana, () => ana.status === "waiting");
  await luis.select("hall", ["D3"]);
  await until(ana, () => ana.status === "open" && look(ana, "D3") === "other");
  assert.deepEqual([ana.sessionId, ana.room("hall").cart.seats, told], [sessionId, ["D1", "D2"], []]);
});

test("a reload keeps the cart, and of two tabs with one session the older is told", async (t) => {
  if (skip) return t.skip(skip);
  const storage = memory();
  const { client: first } = await open("ana", { storage });
  await first.join("hall");
  await first.select("hall", ["E1"]);
  first.close();
  const { client: second } = await open("ana", { storage });
  assert.deepEqual(second.room("hall").cart.seats, ["E1"]);
  // A tab that is a copy: the same entry, on another page.
  const key = `butaca.session ${server.ws} ana`;
  const copy = memory();
  copy.setItem(`butaca.session ${server.ws} anabel`, storage.getItem(key));
  const { client: third } = await open("anabel", { storage: copy });
  await until(second, () => second.status === "closed");
  assert.deepEqual([second.room("hall").cart.seats, third.room("hall").cart.seats], [[], ["E1"]]);
});

test("v1 and v2 see the same seats in one room", async (t) => {
  if (skip) return t.skip(skip);
  const [{ client: ana }, { client: old }] = [await open("ana"), await open("old", { protocol: "v1" })];
  for (const client of [ana, old]) await client.join("mixed");
  const at = (client, seat) => client.room("mixed").seat(seat).status;
  await ana.select("mixed", ["A1", "A2"]);
  await until(old, () => at(old, "A1") === "other" && at(old, "A2") === "other");
  assert.equal(old.room("mixed").seat("A1").clientId, "ana");
  assert.equal((await old.select("mixed", "A2")).code, "seat_taken");
  assert.equal((await old.select("mixed", "B1")).ok, true);
  await until(ana, () => at(ana, "B1") === "other");
  await ana.swap("mixed", ["A1"], ["A3"]);
  await until(old, () => at(old, "A1") === "free" && at(old, "A3") === "other");
  old.close();
  await until(ana, () => at(ana, "B1") === "free");
});

test("a cart is warned of, runs out as a whole, and one that nobody comes back for goes", async (t) => {
  if (skip) return t.skip(skip);
  const shared = server;
  server = await Server.start({ HOLD_TTL_MS: "1200", HOLD_WARN_MS: "900", SESSION_GRACE_MS: "200" });
  try {
    const [{ client: ana }, { client: luis }] = [await open("ana"), await open("luis")];
    for (const client of [ana, luis]) await client.join("hall");
    const told = [];
    for (const type of ["expiring", "ended"]) ana.addEventListener(type, ({ detail }) => told.push(`${type} ${detail.reason ?? ""}${detail.seatId ?? ""}`));
    await ana.select("hall", ["A1", "A2"]);
    await until(ana, () => ana.room("hall").cart.seats.length === 0);
    assert.deepEqual(told, ["expiring ", "ended expiredA1", "ended expiredA2"]);
    await until(luis, () => look(luis, "A1") === "free" && look(luis, "A2") === "free");
    await ana.select("hall", ["B1"]);
    await until(luis, () => look(luis, "B1") === "other");
    ana.close();
    await until(luis, () => look(luis, "B1") === "free");
    const away = until(luis, () => luis.status === "waiting");
    await server.end("SIGTERM");
    await away;
  } finally {
    await server.stop();
    server = shared;
  }
});

test("the page keeps its cart over a reload", async (t) => {
  if (skip) return t.skip(skip);
  const ana = await Visitor.open(browser);
  await ana.visit(server, { name: "Ana", rooms: ["stage"], protocol: "v2" });
  await ana.click("C7");
  await ana.sees("C7", "mine");
  await ana.page.reload();
  await ana.connected();
  await ana.sees("C7", "mine");
  assert.match(await ana.page.locator("#cart-time").textContent(), /^[45]:\d\d$/);
  assert.deepEqual(ana.complaints, []);
  await ana.close();
});

test("the page is without a network for ten seconds, and has its cart and all that happened", async (t) => {
  if (skip) return t.skip(skip);
  const gate = await Gate.to(server.port);
  const [ana, { client: luis }] = [await Visitor.open(browser), await open("luis")];
  await ana.visit(gate, { name: "Ana", rooms: ["gate"], protocol: "v2" });
  await ana.click("C7");
  await ana.sees("C7", "mine");
  await luis.join("gate");
  gate.shut();
  await ana.page.waitForSelector('body[data-status="waiting"]');
  assert.equal((await luis.select("gate", ["C8", "C9"])).ok, true);
  // The server's clock is the real one, and so is its grace of 15 s.
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  assert.equal((await luis.select("gate", ["C7"])).code, "seats_unavailable", "the cart waits");
  gate.open();
  await ana.connected();
  await ana.sees("C8", "other");
  await ana.sees("C9", "other");
  await ana.sees("C7", "mine");
  assert.match(await ana.page.locator("#cart-time").textContent(), /^4:\d\d$/, "the clock went on");
  await ana.click("C7");
  await ana.sees("C7", "free");
  await ana.close();
  await gate.stop();
});

test("two tabs of one browser are two carts, and the one's seats are taken in the other", async (t) => {
  if (skip) return t.skip(skip);
  const ana = await Visitor.open(browser);
  await ana.visit(server, { name: "Ana", rooms: ["tabs"], protocol: "v2" });
  const second = await ana.context.newPage();
  await second.goto(ana.page.url());
  await second.waitForSelector('body[data-status="open"]');
  await ana.click("C7");
  await ana.sees("C7", "mine");
  await second.locator('#map [data-seat="C7"].other').waitFor({ state: "attached" });
  await second.locator('#map [data-seat="C8"]').click();
  await ana.sees("C8", "other");
  await ana.page.reload();
  await ana.connected();
  await ana.sees("C7", "mine");
  await ana.sees("C8", "other");
  assert.equal(await second.getAttribute("body", "data-status"), "open", "the reload threw nobody out");
  await ana.close();
});

test("it sent only what the document knows", async (t) => {
  if (skip) return t.skip(skip);
  const { messages } = await readDocuments();
  const names = documented(messages.v2, frames);
  for (const name of ["hello", "room_joined", "snapshot", "delta", "seats_held", "seats_released", "hold_extended", "pong", "error", "room_left"]) {
    assert.ok(names.has(name), `${name} did not come`);
  }
});
