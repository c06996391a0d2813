// The shop of examples/shop: 50 visitors buy a whole hall; a person buys in Chromium; payments fail, come late, and a tab is
// closed while one runs.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { after, before, describe, test } from "node:test";
import { launch, Visitor } from "./lib/browser.mjs";
import { Server } from "./lib/server.mjs";

const PYTHON = process.env.WEB_PYTHON ?? "python3";
const SHOP = fileURLToPath(new URL("../../examples/shop/shop.py", import.meta.url));
const CHECK = fileURLToPath(new URL("shop_check.py", import.meta.url));
const run = promisify(execFile);

async function freePort() {
  const { createServer } = await import("node:net");
  const listener = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => listener.once("listening", resolve));
  const { port } = listener.address();
  await new Promise((resolve) => listener.close(resolve));
  return port;
}

async function waitFor(url) {
  for (const until = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    if ((await fetch(url).catch(() => undefined))?.ok) return;
    assert.ok(Date.now() < until, `${url} does not answer`);
  }
}

/** A seat server with its API, and a shop. */
async function open(settings = {}, shopSettings = {}) {
  const [api, port] = [await freePort(), await freePort()];
  const server = await Server.start({ API_PORT: String(api), RESELECT_AFTER_MS: "0", MAX_CONNECTIONS_PER_IP: "0", ...settings });
  const env = {
    PATH: process.env.PATH, HOME: process.env.HOME, SHOP_PORT: String(port), SHOP_DB: join(server.folder, "shop.sqlite"),
    BUTACA_API: `http://127.0.0.1:${api}`, BUTACA_URL: server.http, CHECKOUT_S: "3", ...shopSettings,
  };
  const child = spawn(PYTHON, [SHOP], { env });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
  const url = `http://127.0.0.1:${port}`;
  await waitFor(url).catch((error) => assert.fail(`${error}\n${output}`));
  const close = async () => {
    child.kill();
    await server.stop();
  };
  return { server, api: `http://127.0.0.1:${api}`, url, close };
}

test("the shop is a file of at most 200 lines", async () => {
  const text = await readFile(SHOP, "utf8");
  assert.ok(text.split("\n").length <= 201);
});

test("fifty visitors buy the whole hall, each seat once", async () => {
  const { server, api, url, close } = await open();
  try {
    const { stdout } = await run(PYTHON, [CHECK, url, server.ws, api, "cinema-tonight"], { timeout: 120_000 });
    assert.match(stdout, /^180 seats booked by .*'booked': /);
    console.log(stdout.trim());
  } finally {
    await close();
  }
});

test("the Python client of the API, sync and async", async () => {
  const { api, close } = await open();
  try {
    const source = fileURLToPath(new URL("../../clients/python/src", import.meta.url));
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, PYTHONPATH: source, API_URL: api };
    await run(PYTHON, [fileURLToPath(new URL("api_check.py", import.meta.url))], { env, timeout: 60_000 });
    await run(PYTHON, [fileURLToPath(new URL("../../clients/python/make_sync.py", import.meta.url)), "--check"], { env });
  } finally {
    await close();
  }
});

describe("in the browser", () => {
  let browser;
  let shop;

  before(async () => {
    browser = await launch();
    shop = await open();
  });

  after(async () => {
    await browser?.close();
    await shop?.close();
  });

  test("somebody buys two seats, from the first click on, and gives them back", async () => {
    const ana = await Visitor.open(browser);
    await ana.page.goto(shop.url);
    const pay = async () => {
      await ana.page.getByRole("button", { name: "Best 2" }).click();
      await ana.page.getByText(/: 24 €, \d+ s left/).waitFor();
      await ana.page.getByRole("button", { name: "Buy" }).click();
      const said = ana.page.locator("#say", { hasText: /yours|failed|gone/ });
      await said.waitFor();
      return said.textContent();
    };
    for (let attempt = 0; !/yours/.test(await pay()); attempt += 1) {
      // One payment in ten fails: the seats are in the cart again.
      assert.ok(attempt < 8);
      await ana.page.reload();
    }
    await ana.page.locator("#hall button.booked").first().waitFor();
    await ana.page.getByRole("button", { name: "Give back" }).click();
    await ana.page.getByText("given back").waitFor();
    assert.deepEqual(ana.complaints, []);
    await ana.close();
  });

  test("a tab that is closed while paying loses nothing", async () => {
    const bob = await Visitor.open(browser);
    await bob.page.goto(shop.url);
    await bob.page.locator("#hall button.free").first().click();
    await bob.page.getByText(/: 12 €/).waitFor();
    await bob.page.getByRole("button", { name: "Buy" }).click();
    await bob.page.locator("#say", { hasText: "Order" }).waitFor();
    const [, order] = /Order (\S+),/.exec(await bob.page.locator("#say").textContent());
    await bob.close();
    for (const until = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const { state } = await (await fetch(`${shop.url}/orders/${order}`)).json();
      if (state !== "paying") {
        assert.match(state, /^(booked|failed)$/);
        break;
      }
      assert.ok(Date.now() < until);
    }
  });
});
