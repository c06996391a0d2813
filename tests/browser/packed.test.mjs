// Packed maps: asked for where they can be unpacked, waited for in order, and given up for plain ones when they are bad.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, mock, test } from "node:test";
import { fileURLToPath } from "node:url";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import WebSocket from "ws";
import { ButacaClient } from "../../static/butaca-client.js";
import { launch, Visitor } from "./lib/browser.mjs";
import { LiveServer, stadium } from "./lib/live.mjs";
import { ScriptedV2, smallLayout } from "./lib/scripted_v2.mjs";
import { Server } from "./lib/server.mjs";

const soon = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

describe("with a scripted server", () => {
  const clients = [];

  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
    mock.timers.reset();
  });

  /** A client whose maps are unpacked when the test says so. */
  function opened(options = {}) {
    const server = new ScriptedV2({ layouts: { hall: smallLayout(6) }, packs: true });
    const sent = [];
    const hear = server.hear.bind(server);
    server.hear = (socket, text) => {
      sent.push(JSON.parse(text));
      hear(socket, text);
    };
    const jobs = [];
    const inflate = (packed, bytesMax) => new Promise((resolve, reject) => jobs.push({ packed, bytesMax, resolve, reject }));
    const { WebSocket: Socket } = server;
    const client = new ButacaClient({ url: "ws://x", clientId: "ana", storage: null, layouts: false, inflate, WebSocket: Socket, ...options });
    clients.push(client);
    const seen = [];
    for (const type of ["gap", "change", "status"]) client.addEventListener(type, ({ detail }) => seen.push({ type, ...detail }));
    void client.join("hall");
    client.connect();
    return { client, server, jobs, sent, seen, asked: (type) => sent.filter((each) => each.type === type).map(({ packed }) => packed) };
  }

  const drain = ({ newest }) => {
    while (newest.queue.length > 0) newest.deliver();
  };

  async function unpacked({ packed, bytesMax, resolve, reject }) {
    try {
      resolve(new Uint8Array(inflateRawSync(packed, { maxOutputLength: bytesMax })));
    } catch (problem) {
      reject(problem);
    }
    await soon();
  }

  test("what comes behind one waits for it, in order", async () => {
    const { client, server, jobs, seen, asked } = opened();
    server.newest.opens();
    drain(server);
    const held = client.select("hall", ["S1"]);
    server.tick();
    drain(server);
    assert.deepEqual(asked("join_room"), [true]);
    assert.deepEqual([client.room("hall").known, client.room("hall").cart.seats, jobs.length], [false, [], 1]);
    await unpacked(jobs[0]);
    assert.equal((await held).ok, true);
    assert.deepEqual([[...client.room("hall").states], client.room("hall").seq], [[0, 1, 0, 0, 0, 0], 1]);
    assert.deepEqual(seen.filter(({ type }) => type === "gap"), [], "a delta before its map would have been a hole");
  });

  test("one of a connection that has ended is never heard of again, nor what came behind it", async () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const { client, server, jobs } = opened();
    server.newest.opens();
    drain(server);
    const held = client.select("hall", ["S1"]);
    drain(server);
    server.newest.ends(1006);
    assert.equal((await held).code, "offline");
    mock.timers.tick(1_000);
    server.newest.opens();
    drain(server);
    assert.equal(jobs.length, 2, "the next connection has a map of its own to wait for");
    server.stranger("hall", "S5");
    server.tick();
    drain(server);
    await unpacked(jobs[0]);
    assert.equal(client.room("hall").known, false, "the old map is not the new one");
    await unpacked(jobs[1]);
    assert.deepEqual([[...client.room("hall").states], client.room("hall").seq], [[0, 1, 0, 0, 0, 1], 2]);
    assert.deepEqual(client.room("hall").cart.seats, ["S1"]);
    client.close();
    assert.equal(client.status, "closed");
  });

  test("one that cannot be read is asked for once more as it is, whatever is wrong with it", async () => {
    for (const taken of [0, 1, 2, 3, 4, 5]) {
      const { client, server, jobs, seen, asked } = opened();
      for (let seat = 0; seat < taken; seat += 1) server.stranger("hall", `S${seat}`);
      server.spoiling = 1;
      server.newest.opens();
      drain(server);
      for (const job of jobs) await unpacked(job);
      await soon();
      drain(server);
      assert.deepEqual([asked("join_room"), asked("sync")], [[true], [undefined]], `kind ${taken}`);
      assert.deepEqual([...client.room("hall").states], Array.from({ length: 6 }, (_, seat) => Number(seat < taken)), `kind ${taken}`);
      assert.equal(seen.filter(({ type }) => type === "gap").length, 1);
      void client.join("other");
      assert.equal(asked("join_room").at(-1), undefined, "no more of them");
    }
  });

  test("a map that cannot be read as it is either is left alone for a while", async () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const { client, server, jobs, asked } = opened();
    server.bytes = () => Buffer.from("far too long for this room");
    server.newest.opens();
    drain(server);
    await unpacked(jobs[0]);
    drain(server);
    assert.deepEqual(asked("sync"), [undefined]);
    for (let second = 0; second < 60; second += 1) {
      mock.timers.tick(1_000);
      drain(server);
    }
    assert.ok(asked("sync").length >= 10 && asked("sync").length <= 25, `${asked("sync").length} in a minute`);
    delete server.bytes;
    mock.timers.tick(5_000);
    drain(server);
    assert.equal(client.room("hall").known, true);
  });

  test("one that is never ready ends the connection", async () => {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"] });
    const { client, server, seen } = opened();
    server.newest.opens();
    for (let second = 0; second < 120 && server.sockets.length < 2; second += 1) {
      mock.timers.tick(1_000);
      drain(server);
    }
    assert.equal(seen.findLast(({ type, status }) => type === "status" && status === "waiting").reason, "requests are not answered");
    assert.notEqual(client.status, "open");
  });

  test("is not asked for where nobody can unpack it", () => {
    const { client, server, asked } = opened({ inflate: null });
    server.newest.opens();
    drain(server);
    assert.deepEqual([asked("join_room"), client.room("hall").known], [[undefined], true]);
  });

  test("the platform's own takes what deflate makes, and nothing that is too long or no such thing", async () => {
    for (const [states, good] of [[Buffer.alloc(2), true], [Buffer.alloc(2_000_000), false], [undefined, false]]) {
      const { client, server } = opened({ inflate: undefined });
      server.newest.opens();
      while (server.newest.queue[0].type !== "snapshot") server.newest.deliver();
      const snapshot = server.newest.queue.shift();
      const packed = states ? deflateRawSync(states).toString("base64") : "////";
      server.newest.queue.unshift({ ...snapshot, packed });
      drain(server);
      while (!client.room("hall").known) {
        await soon();
        drain(server);
      }
      assert.equal(server.newest.packs, good);
    }
  });
});

describe("with the real server", () => {
  let folder;
  let server;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "butaca-packed-"));
    await writeFile(join(folder, "rooms.json"), '{"hall":{"layout":"arena","max_seats":0}}');
    const layouts = fileURLToPath(new URL("../../examples/layouts", import.meta.url));
    server = await Server.start({ LAYOUTS_DIR: layouts, ROOMS_FILE: join(folder, "rooms.json") });
  });

  after(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** In the hall: the client, and the length of the map that came. */
  async function enter(options) {
    let length;
    class Socket extends WebSocket {
      constructor(address) {
        super(address);
        this.addEventListener("message", ({ data }) => (length = data.includes('"snapshot"') ? data.length : length));
      }
    }
    const client = new ButacaClient({ url: server.ws, clientId: "ana", storage: null, WebSocket: Socket, ...options });
    const known = new Promise((resolve) => client.addEventListener("change", () => client.room("hall").known && client.room("hall").names && resolve()));
    void client.join("hall");
    client.connect();
    await known;
    return { client, length };
  }

  test("both forms are the same map, and packed is the shorter one", async () => {
    const luis = await enter();
    const names = luis.client.room("hall").names;
    const wanted = Array.from({ length: 40 }, (_, index) => names[(index * 7_919) % names.length]);
    assert.equal((await luis.client.select("hall", wanted)).ok, true);
    const [packed, plain] = [await enter(), await enter({ inflate: null })];
    const [states, same] = [packed, plain].map(({ client }) => [...client.room("hall").states]);
    assert.deepEqual(states, same);
    assert.deepEqual(states.flatMap((state, index) => (state === 1 ? [names[index]] : [])).sort(), [...wanted].sort());
    assert.ok(plain.length > 6_000 && packed.length < 600, `${plain.length} and ${packed.length} bytes`);
    for (const { client } of [luis, packed, plain]) client.close();
  });
});

describe("in a browser", () => {
  let browser;

  before(async () => {
    browser = await launch();
  });

  after(() => browser?.close());

  for (const [what, script, packs] of [
    ["that can unpack it, it is asked for", "", true],
    ["that knows streams but not this format, the map comes as it is", `self.DecompressionStream = class { constructor(name) { throw new TypeError(name); } }`, false],
    ["that knows no such streams, the map comes as it is", "delete self.DecompressionStream", false],
  ]) {
    test(what, async () => {
      const server = await LiveServer.start({ layouts: { hall: stadium(4, 6, 10) } });
      server.seats.stranger("hall", "1-2-5");
      const visitor = await Visitor.open(browser);
      await visitor.context.addInitScript({ content: script });
      await visitor.visit(server, { name: "Ana", protocol: "v2" });
      await visitor.sees("1-2-5", "other");
      assert.equal(server.seats.newest.packs, packs);
      await visitor.click("1-2-6");
      await visitor.sees("1-2-6", "mine");
      assert.deepEqual(visitor.complaints, []);
      await visitor.close();
      await server.stop();
    });
  }
});
