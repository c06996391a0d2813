// The React and the Vue example: built, served from their `dist`, and used by two people in a browser.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { after, before, describe, test } from "node:test";
import { launch, Visitor } from "./lib/browser.mjs";
import { LiveServer } from "./lib/live.mjs";
import { Server } from "./lib/server.mjs";
import { open } from "./lib/shop.mjs";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
const run = promisify(execFile);

let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

/** Serves a folder on a free port. */
async function serveFolder(folder) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, "http://x").pathname);
    const file = join(folder, path === "/" ? "index.html" : path);
    const body = await readFile(file).catch(() => undefined);
    response.writeHead(body ? 200 : 404, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    response.end(body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

for (const framework of ["react", "vue"]) {
  describe(framework, () => {
    const folder = fileURLToPath(new URL(`../../examples/${framework}/`, import.meta.url));
    let pages;
    let server;
    const visitors = [];

    before(async () => {
      await run("npm", ["run", "build"], { cwd: folder });
      pages = await serveFolder(join(folder, "dist"));
      server = await Server.start({ MAX_SEATS_PER_CLIENT: "2", HOLD_TTL_MS: "60000" });
    });

    after(async () => {
      for (const visitor of visitors) await visitor.close();
      pages?.close();
      await server?.stop();
    });

    async function visit(name, address = server.ws, protocol = "v1", more = {}) {
      const visitor = await Visitor.open(browser);
      visitors.push(visitor);
      await visitor.page.goto(`${pages.url}/?${new URLSearchParams({ server: address, name, protocol, ...more })}`);
      await visitor.page.getByText(`${name}: open`).waitFor();
      visitor.seat = (seatId) => visitor.page.locator(`[data-seat="${seatId}"]`);
      visitor.sees = (seatId, look) => visitor.page.locator(`[data-seat="${seatId}"].${look}`).waitFor();
      return visitor;
    }

    test("a cart in v2: one clock, more time, an order, a reload", async () => {
      const carts = await LiveServer.start({ maxSeats: 2 });
      const [ana, luis] = [await visit("Ana", carts.ws, "auto"), await visit("Luis", carts.ws, "auto")];
      await ana.click("A1");
      await ana.sees("A1", "mine");
      await luis.sees("A1", "other");
      assert.equal(await luis.seat("A1").getAttribute("aria-label"), "A1, taken");
      await ana.page.getByRole("button", { name: "More time" }).click();
      await ana.page.getByRole("button", { name: "More time", disabled: true }).waitFor();
      await ana.page.reload();
      await ana.page.getByText("Ana: open").waitFor();
      await ana.sees("A1", "mine");
      carts.seats.backend("checkout", "hall");
      await ana.sees("A1", "checkout");
      await ana.page.getByText("A1: checkout").waitFor();
      carts.seats.backend("book", "hall");
      await luis.sees("A1", "booked");
      assert.deepEqual([...ana.complaints, ...luis.complaints], []);
      await carts.stop();
    });

    test("a cart is paid for at the shop", async () => {
      const seats = ["A1", "A2", "B1"].map((id) => ({ id, section: "Stalls", row: id[0], number: Number(id[1]), category: "a", x: 0, y: 0 }));
      const layouts = await mkdtemp(join(tmpdir(), "butaca-layout-"));
      const file = join(layouts, "small.json");
      await writeFile(file, JSON.stringify({ seats }));
      const shop = await open({}, { ROOM: "hall", LAYOUT_FILE: file, SHOP_ORIGINS: pages.url, FAKE_PAYMENT: "paid" });
      const ana = await visit("Ana", shop.server.ws, "auto", { shop: shop.url });
      await ana.click("A1");
      await ana.click("A2");
      await ana.sees("A2", "mine");
      await ana.page.getByRole("button", { name: "Pay" }).click();
      await ana.page.getByText(/Order \S+: yours/).waitFor();
      await ana.sees("A1", "booked");
      await ana.sees("A2", "booked");
      await ana.page.getByText("A1, A2: booked").waitFor();
      assert.deepEqual(ana.complaints, []);
      await shop.close();
      await rm(layouts, { recursive: true });
    });

    test("two people, a refusal, another room, a restart", async () => {
      const [ana, luis] = [await visit("Ana"), await visit("Luis")];
      await ana.click("A1");
      await ana.sees("A1", "mine");
      await luis.sees("A1", "other");
      assert.equal(await luis.seat("A1").getAttribute("aria-label"), "A1, taken by Ana");

      await ana.click("A2");
      await ana.click("A3");
      await ana.page.getByText("A3 was refused: limit_exceeded").waitFor();
      await ana.sees("A3", "free");
      await ana.click("A2");
      await luis.sees("A2", "free");

      await luis.page.locator("select").selectOption("balcony");
      await luis.sees("A1", "free");
      await luis.click("A1");
      await luis.sees("A1", "mine");
      await luis.page.locator("select").selectOption("hall");
      await luis.sees("A1", "other");

      await server.kill();
      await ana.page.getByText("Ana: waiting").waitFor();
      await server.restart();
      await ana.page.getByText("Ana: open").waitFor();
      await ana.sees("A1", "mine");
      await luis.sees("A1", "other");
      assert.deepEqual(
        [...ana.complaints, ...luis.complaints].filter((text) => !text.includes("ERR_CONNECTION_REFUSED")),
        [],
      );
    });
  });
}
