// The shop of examples/shop: 50 visitors buy a whole hall; a person buys in Chromium; payments fail, come late, and a tab is
// closed while one runs.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { after, before, describe, test } from "node:test";
import { launch, Visitor } from "./lib/browser.mjs";
import { open, PYTHON, SHOP } from "./lib/shop.mjs";

const CHECK = fileURLToPath(new URL("shop_check.py", import.meta.url));
const run = promisify(execFile);

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
    let said = "";
    const pay = async () => {
      if (!/failed/.test(said)) await ana.page.getByRole("button", { name: "Best 2" }).click();
      await ana.page.getByText(/: 24 €, \d+ s left/).waitFor();
      // What is said of the order before is still there, or comes yet.
      const before = await ana.page.evaluate(() => sessionStorage.getItem("order"));
      await ana.page.getByRole("button", { name: "Buy" }).click();
      const told = ana.page.locator("#say", { hasText: /yours|failed|gone/, hasNotText: before ?? "no order" });
      await told.waitFor();
      said = await told.textContent();
      return said;
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
    assert.match(await endOf(shop, order), /^(booked|failed)$/);
  });
});

/** How an order ends. */
async function endOf(shop, order) {
  for (const until = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const { state } = await (await fetch(`${shop.url}/orders/${order}`)).json();
    if (state !== "paying") return state;
    assert.ok(Date.now() < until, `${order} is still ${state}`);
  }
}

describe("in the browser, with payments that go wrong", () => {
  let browser;

  before(async () => {
    browser = await launch();
  });

  after(() => browser?.close());

  /** Somebody with a seat in the cart clicks on Buy. */
  async function buy(shop, seat) {
    const visitor = await Visitor.open(browser);
    await visitor.page.goto(shop.url);
    await visitor.page.locator("#hall button.free").nth(seat).click();
    await visitor.page.getByText(/: 12 €/).waitFor();
    await visitor.page.getByRole("button", { name: "Buy" }).click();
    await visitor.page.locator("#say", { hasText: "Order" }).waitFor();
    const [, order] = /Order (\S+),/.exec(await visitor.page.locator("#say").textContent());
    return { visitor, order };
  }

  const counts = async (shop) => (await (await fetch(`${shop.api}/v1/rooms/cinema-tonight/counts`)).json()).total;

  test("a payment that fails: the seats are in the cart again", async () => {
    const shop = await open({}, { FAKE_PAYMENT: "failed" });
    const { visitor } = await buy(shop, 3);
    await visitor.page.getByText("the payment failed: your seats are back in your cart").waitFor();
    await visitor.page.locator("#hall button.mine").waitFor();
    await visitor.page.getByRole("button", { name: "Buy", disabled: false }).waitFor();
    const { held, booked, checkout } = await counts(shop);
    assert.deepEqual({ held, booked, checkout }, { held: 1, booked: 0, checkout: 0 });
    assert.deepEqual(visitor.complaints, []);
    await visitor.close();
    await shop.close();
  });

  test("a payment that comes late: the seats, if nobody has them; else the money", async () => {
    const shop = await open({}, { FAKE_PAYMENT: "late", CHECKOUT_S: "1" });
    const [ana, bob] = [await buy(shop, 3), await buy(shop, 3)];
    // Nobody takes the first one's seat. The second one's is taken as soon as it is free.
    const [{ seat }] = (await (await fetch(`${shop.api}/v1/rooms/cinema-tonight/seats?order=${bob.order}`)).json()).seats;
    const block = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ seats: [seat], label: "late" }) };
    for (const until = Date.now() + 30_000; !(await fetch(`${shop.api}/v1/rooms/cinema-tonight/block`, block)).ok; ) assert.ok(Date.now() < until);
    assert.equal(await endOf(shop, ana.order), "booked");
    await ana.visitor.page.getByText("yours. Enjoy the show!").waitFor();
    assert.equal(await endOf(shop, bob.order), "money back");
    await bob.visitor.page.getByText("the money goes back").waitFor();
    assert.deepEqual([(await counts(shop)).booked, ...ana.visitor.complaints, ...bob.visitor.complaints], [1]);
    for (const { visitor } of [ana, bob]) await visitor.close();
    await shop.close();
  });

  test("a tab that is closed while a late payment runs: the order comes to its end all the same", async () => {
    const shop = await open({}, { FAKE_PAYMENT: "late", CHECKOUT_S: "1" });
    const { visitor, order } = await buy(shop, 0);
    await visitor.close();
    assert.equal(await endOf(shop, order), "booked");
    await shop.close();
  });
});
