// The example that makes tokens: they are what RFC 7519 says, nothing starts without a key, and the page uses them.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { tokenFor } from "../../examples/jwt/shop.mjs";
import { ButacaClient } from "../../static/butaca-client.js";
import { launch, Visitor } from "./lib/browser.mjs";
import { Server } from "./lib/server.mjs";

const folder = new URL("../../examples/jwt/", import.meta.url);
const secret = randomBytes(48).toString("base64");
let browser;
let started;
let seats;

before(async () => {
  browser = await launch();
});

after(async () => {
  started?.child.kill();
  await seats?.stop();
  await browser?.close();
});

function shop(env) {
  const child = spawn(process.execPath, [fileURLToPath(new URL("shop.mjs", folder))], { env: { PATH: process.env.PATH, PORT: "0", ...env } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const ended = new Promise((resolve) => child.once("close", (code) => resolve({ code, output })));
  const address = new Promise((resolve) => child.stdout.on("data", () => resolve(/http:\S+/.exec(output)?.[0])));
  return { child, ended, address };
}

function read(token) {
  const [head, claims, signature] = token.split(".");
  assert.equal(signature, createHmac("sha256", secret).update(`${head}.${claims}`).digest("base64url"));
  return [head, claims].map((part) => JSON.parse(Buffer.from(part, "base64url")));
}

test("a token says who, for which rooms, until when, and is signed", () => {
  const now = Date.parse("2026-01-15T10:30:00Z");
  const [head, claims] = read(tokenFor(secret, { sub: "7", name: "Ana", rooms: ["hall-*"] }, now));
  assert.deepEqual(head, { alg: "HS256", typ: "JWT" });
  assert.deepEqual(claims, { sub: "7", name: "Ana", rooms: ["hall-*"], iat: now / 1000, exp: now / 1000 + 600 });
});

test("nothing starts without a key, or with a short one", async () => {
  for (const env of [{}, { JWT_SECRET: "secret" }]) {
    const { code, output } = await shop(env).ended;
    assert.equal(code, 64);
    assert.match(output, /at least 32 bytes/);
  }
});

test("there is no key in the folder", async () => {
  for (const name of await readdir(folder)) {
    assert.doesNotMatch(await readFile(new URL(name, folder), "utf8"), /BEGIN [A-Z ]*KEY|JWT_SECRET=["']?[\w+/=]{8}|[\w+/]{40,}/, name);
  }
});

test("the page asks for a token and enters with it", async () => {
  started = shop({ JWT_SECRET: secret });
  const { address } = started;
  seats = await Server.start({ AUTH: "jwt", JWT_SECRET: secret });
  const ana = await Visitor.open(browser);
  await ana.page.goto(`${await address}?server=${encodeURIComponent(seats.ws)}`);
  await ana.page.getByRole("button", { name: "Enter" }).click();
  await ana.page.getByText("open").waitFor();
  await ana.page.getByRole("button", { name: "A1: free" }).click();
  await ana.page.getByRole("button", { name: "A1: mine" }).waitFor();
  assert.deepEqual(ana.complaints, []);
  await ana.close();
  for (const name of ["system", "holder:x", ""]) {
    assert.equal((await fetch(`${await address}token?name=${name}`, { method: "POST" })).status, 404);
  }
});

/** Until this holds; looked at with every event. */
function until(client, holds) {
  const types = ["change", "status", "cart", "message"];
  return new Promise((resolve) => {
    const look = () => {
      if (!holds()) return;
      for (const type of types) client.removeEventListener(type, look);
      resolve();
    };
    for (const type of types) client.addEventListener(type, look);
    look();
  });
}

test("the module renews its token on one connection, and without one the connection ends", async () => {
  const server = await Server.start({ AUTH: "jwt", JWT_SECRET: secret, JWT_LEEWAY_S: "0", SESSION_GRACE_MS: "60000" });
  let [given, sockets, gives] = [0, 0, true];
  class Socket extends WebSocket {
    constructor(address) {
      super(address);
      sockets += 1;
    }
  }
  const token = () => {
    if (!gives) throw new Error("the shop does not know this person any more");
    given += 1;
    // It was made nearly ten minutes ago: three seconds are left of it.
    return tokenFor(secret, { sub: "7", name: "Ana" }, Date.now() - 597_000);
  };
  const options = { clientId: "ana", storage: null, WebSocket: Socket, heartbeatMs: 250, token };
  const client = new ButacaClient({ url: server.ws, ...options });
  const renewed = [];
  client.addEventListener("message", ({ detail: { direction, frame } }) => {
    if (direction === "in" && frame.type === "authenticated") renewed.push(frame.expires_at);
  });
  try {
    client.connect();
    await until(client, () => client.status === "open");
    assert.equal((await client.join("hall")).ok, true);
    assert.equal((await client.select("hall", ["A1"])).ok, true);
    // The first token has long ended when the fourth comes.
    await until(client, () => renewed.length === 4);
    assert.deepEqual([client.status, sockets, given], ["open", 1, 4]);
    assert.ok(renewed.every((at, index) => index === 0 || at > renewed[index - 1]), String(renewed));
    assert.deepEqual(client.room("hall").cart.seats, ["A1"]);
    gives = false;
    await until(client, () => client.status === "closed");
    assert.equal(sockets, 1, "4500: it does not come back by itself");
  } finally {
    client.close();
    await server.stop();
  }
});
