// The example that makes tokens: they are what RFC 7519 says, nothing starts without a key, and the page uses them.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { tokenFor } from "../../examples/jwt/shop.mjs";
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
