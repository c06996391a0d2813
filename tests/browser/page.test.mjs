// The page in a browser, against the real server.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, describe, test } from "node:test";
import WebSocket from "ws";
import { launch, PAGE_FILE, Visitor } from "./lib/browser.mjs";
import { Server } from "./lib/server.mjs";

let browser;
const visitors = [];
const servers = [];

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

afterEach(async () => {
  for (const visitor of visitors.splice(0)) await visitor.close();
  for (const server of servers.splice(0)) await server.stop();
});

async function serve(settings) {
  const server = await Server.start(settings);
  servers.push(server);
  return server;
}

async function visitor(options) {
  const opened = await Visitor.open(browser, options);
  visitors.push(opened);
  return opened;
}

async function visit(server, choice, options) {
  const opened = await visitor(options);
  await opened.visit(server, choice);
  return opened;
}

/** A client without a page: sends one message and waits for one that fits. */
async function stranger(server, name) {
  const socket = new WebSocket(`${server.ws}/ws/${encodeURIComponent(name)}`);
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const frames = [];
  const waiting = new Set();
  socket.on("message", (data) => {
    frames.push(JSON.parse(String(data)));
    for (const look of waiting) look();
  });
  return {
    send: (frame) => socket.send(JSON.stringify(frame)),
    until: (fits) =>
      new Promise((resolve) => {
        const look = () => {
          const found = frames.find(fits);
          if (!found) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    close: () => socket.close(),
  };
}

describe("two people", () => {
  test("see each other's clicks", async () => {
    const server = await serve();
    const ana = await visit(server, { name: "Ana" });
    const luis = await visit(server, { name: "Luis" });
    await ana.click("C7");
    await ana.sees("C7", "mine");
    await luis.sees("C7", "other");
    assert.match(await luis.seat("C7").getAttribute("aria-label"), /Row C, seat 7: taken by Ana/);
    await luis.click("D7");
    await ana.sees("D7", "other");
    await ana.click("C7");
    await ana.sees("C7", "free");
    await luis.sees("C7", "free");
    assert.deepEqual([...ana.complaints, ...luis.complaints], []);
  });

  test("with the same name are two people", async () => {
    const server = await serve();
    const one = await visit(server, { name: "Sam" });
    const two = await visit(server, { name: "Sam" });
    await one.click("A1");
    await one.sees("A1", "mine");
    await two.sees("A1", "other");
    await two.click("A1");
    await two.sees("A1", "refused");
    await two.sees("A1", "other");
    await one.sees("A1", "mine");
  });

  test("who come later see what is taken", async () => {
    const server = await serve();
    const ana = await visit(server, { name: "Ana" });
    for (const seatId of ["A1", "A2", "A3"]) await ana.click(seatId);
    await ana.sees("A3", "mine");
    const late = await visit(server, { name: "Late" });
    await late.sees("A1", "other");
    await late.sees("A3", "other");
    await late.page.locator("#count-other", { hasText: "3" }).waitFor();
  });
});

describe("a refusal", () => {
  test("for too many seats rolls back", async () => {
    const server = await serve({ MAX_SEATS_PER_CLIENT: "2" });
    const ana = await visit(server, { name: "Ana" });
    for (const seatId of ["B1", "B2", "B3"]) await ana.click(seatId);
    await ana.sees("B3", "refused");
    await ana.hears("B3 was refused: you hold as many");
    await ana.sees("B3", "free");
    assert.equal(await ana.page.locator("#holds li").count(), 2);
    assert.equal(await ana.page.locator("#count-refused").textContent(), "1");
  });

  test("for a seat that is taken ends in the winner's colour", async () => {
    const server = await serve();
    const ana = await visitor();
    // What the others do reaches this page only when it may.
    const held = [];
    let holding = false;
    await ana.page.routeWebSocket(/\/ws\//, (route) => {
      const upstream = route.connectToServer();
      upstream.onMessage((message) => {
        const broadcast = JSON.parse(String(message)).user_info !== undefined;
        if (holding && broadcast) held.push(() => route.send(message));
        else route.send(message);
      });
    });
    await ana.visit(server, { name: "Ana" });
    holding = true;
    const other = await stranger(server, "other");
    other.send({ type: "select_seat", room_id: "hall", seat_id: "E5", user_info: { name: "Otto" } });
    await other.until((frame) => frame.type === "seat_selected");
    await ana.sees("E5", "free");
    await ana.click("E5");
    await ana.sees("E5", "refused");
    await ana.hears("somebody else has it");
    for (const deliver of held.splice(0)) deliver();
    await ana.sees("E5", "other");
    other.close();
    await ana.sees("E5", "free");
  });
});

test("an expiry frees the seat for everybody and says so", async () => {
  const server = await serve({ HOLD_TTL_MS: "1500" });
  const ana = await visit(server, { name: "Ana" });
  const luis = await visit(server, { name: "Luis" });
  await ana.click("C7");
  await luis.sees("C7", "other");
  await ana.sees("C7", "free");
  await luis.sees("C7", "free");
  await ana.hears("Your time for seat C7 is over");
  assert.equal(await ana.page.locator("#holds li").count(), 0);
});

test("a restart of the server is survived", async () => {
  const server = await serve();
  const ana = await visit(server, { name: "Ana" });
  await ana.click("C7");
  await ana.sees("C7", "mine");
  await server.kill();
  await ana.page.waitForSelector('body[data-status="waiting"]');
  await ana.page.getByText(/Next attempt in \d+ s/).waitFor();
  await server.restart();
  await ana.page.locator("#retry").click({ timeout: 1_000 }).catch(() => "it came back by itself");
  await ana.connected();
  // The hold was asked for again, and is one for the others, too.
  await ana.sees("C7", "mine");
  const luis = await visit(server, { name: "Luis" });
  await luis.sees("C7", "other");
  await luis.click("D1");
  await ana.sees("D1", "other");
});

test("a keyboard is enough", async () => {
  const server = await serve();
  const ana = await visit(server, { name: "Ana" });
  assert.equal(await ana.page.locator('#map [tabindex="0"]').count(), 1);
  await ana.seat("A1").focus();
  for (const key of ["ArrowRight", "ArrowRight", "ArrowDown"]) await ana.page.keyboard.press(key);
  const seatId = await ana.page.evaluate(() => document.activeElement.dataset.seat);
  assert.match(seatId, /^B\d+$/);
  await ana.page.keyboard.press("Enter");
  await ana.sees(seatId, "mine");
  assert.equal(await ana.seat(seatId).getAttribute("aria-selected"), "true");
  await ana.hears(new RegExp(`Seat ${seatId} is yours for \\d:\\d\\d`));
  await ana.page.keyboard.press(" ");
  await ana.sees(seatId, "free");
  await ana.page.keyboard.press("End");
  assert.equal(await ana.page.evaluate(() => document.activeElement.dataset.seat), "B25");
  assert.equal(await ana.page.locator('#map [tabindex="0"]').count(), 1);
});

test("rooms are tabs on one connection", async () => {
  const server = await serve();
  const ana = await visitor();
  let sockets = 0;
  ana.page.on("websocket", () => (sockets += 1));
  await ana.visit(server, { name: "Ana", rooms: ["first", "second"] });
  await ana.click("A1");
  await ana.sees("A1", "mine");
  await ana.page.getByRole("tab", { name: "second" }).click();
  await ana.sees("A1", "free");
  await ana.click("A2");
  await ana.sees("A2", "mine");
  await ana.page.locator("#new-room-name").fill("third: ñandú/x");
  await ana.page.keyboard.press("Enter");
  await ana.sees("A2", "free");
  await ana.click("A3");
  await ana.sees("A3", "mine");
  assert.equal(await ana.page.locator("#holds li").count(), 3);
  assert.equal(sockets, 1);
  await ana.page.locator("#release-all").click();
  await ana.page.locator("#no-holds").waitFor();
});

test("the arena has 2,000 seats that can be told apart and used", async () => {
  const server = await serve();
  const ana = await visit(server, { name: "Ana", plan: "arena" });
  assert.equal(await ana.page.locator("#map [data-seat]").count(), 2000);
  await ana.click("108-C5");
  await ana.sees("108-C5", "mine");
  await ana.page.locator("#count-free", { hasText: "1,999" }).waitFor();
  const plan = ana.page.locator("#map svg");
  const before = await plan.boundingBox();
  await ana.page.locator("#zoom-in").click();
  assert.ok((await plan.boundingBox()).width > before.width * 1.4, "zooming in makes the seats bigger");
  await ana.page.locator("#zoom-fit").click();
  assert.deepEqual(await plan.boundingBox(), before);
});

test("on a phone nothing is cut off, and a finger finds its seat", async () => {
  const server = await serve();
  const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
  const ana = await visit(server, { name: "Ana" }, phone);
  const overflow = await ana.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `the page is ${overflow} px too wide`);
  await ana.seat("F14").tap();
  await ana.page.waitForFunction(() => document.querySelector('[data-seat="F14"]').getBoundingClientRect().width > 20);
  assert.equal(await ana.seat("F14").getAttribute("aria-selected"), "false", "the first tap only came closer");
  await ana.seat("F14").tap();
  await ana.sees("F14", "mine");
});

test("it works opened as a file, and asks for the server", async () => {
  const server = await serve();
  const ana = await visitor();
  await ana.page.goto(PAGE_FILE);
  assert.equal(await ana.page.locator("#server").inputValue(), "ws://localhost:8001");
  await ana.page.locator("#server").fill(server.ws);
  await ana.page.locator("#name").fill("Ana");
  await ana.page.getByRole("button", { name: "Connect", exact: true }).click();
  await ana.connected();
  await ana.click("C7");
  await ana.sees("C7", "mine");
  assert.deepEqual(ana.complaints, []);
});

test("it keeps to the strict content security policy", async () => {
  const server = await serve();
  const answer = await fetch(`${server.http}/`);
  const policy = answer.headers.get("content-security-policy");
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  const ana = await visit(server, { name: "Ana" });
  await ana.click("A1");
  await ana.sees("A1", "mine");
  await ana.page.locator("#log summary").click();
  await ana.page.locator("#log-lines li").first().waitFor();
  assert.deepEqual(ana.complaints, []);
});

test("the files of the page are served with their types, and nothing else is", async () => {
  const server = await serve();
  const types = { "butaca-page.js": "text/javascript", "butaca-client.js": "text/javascript", "butaca-room.js": "text/javascript",
    "butaca-page.css": "text/css", "butaca.svg": "image/svg+xml", "websocket_client.html": "text/html" };
  for (const [name, type] of Object.entries(types)) {
    const answer = await fetch(`${server.http}/static/${name}`);
    assert.ok(answer.headers.get("content-type").startsWith(type), `${name}: ${answer.headers.get("content-type")}`);
    assert.equal(await answer.text(), await readFile(new URL(`../../static/${name}`, import.meta.url), "utf8"), `${name}: build the server again`);
  }
  for (const path of ["/static/", "/static/nothing.js", "/static/../Cargo.toml", "/butaca-page.js"]) {
    assert.equal((await fetch(`${server.http}${path}`)).status, 404, path);
  }
});

test("an application elsewhere may import the module from the server", async () => {
  const server = await serve();
  const elsewhere = await serve();
  const ana = await visitor();
  await ana.page.goto(`${elsewhere.http}/health`);
  const outcome = await ana.page.evaluate(async ({ http, ws }) => {
    const { ButacaClient } = await import(`${http}/static/butaca-client.js`);
    const client = new ButacaClient({ url: ws, clientId: "ana", protocol: "auto" });
    client.connect();
    await new Promise((resolve) => client.addEventListener("status", () => client.status === "open" && resolve()));
    return client.select("hall", "A1");
  }, { http: server.http, ws: server.ws });
  assert.equal(outcome.ok, true);
});

test("it speaks Spanish", async () => {
  const server = await serve();
  const ana = await visit(server, { name: "Ana", lang: "es" });
  assert.equal(await ana.page.locator("html").getAttribute("lang"), "es");
  await ana.click("A1");
  await ana.hears(/La butaca A1 es tuya durante \d:\d\d/);
});

const looks = {
  "light and dark": { colorScheme: "light" },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
};
for (const [name, look] of Object.entries(looks)) {
  test(`axe finds nothing to complain about (${name})`, async () => {
    const server = await serve();
    const ana = await visit(server, { name: "Ana", rooms: ["first", "second"] }, { ...look, bypassCSP: true });
    await ana.seat("C7").focus();
    await ana.page.keyboard.press("Enter");
    await ana.page.locator("#holds li").waitFor();
    await ana.page.addScriptTag({ path: new URL("node_modules/axe-core/axe.min.js", import.meta.url).pathname });
    for (const colorScheme of look.colorScheme ? ["light", "dark"] : ["light"]) {
      await ana.page.emulateMedia({ colorScheme });
      const { violations } = await ana.page.evaluate(() => globalThis.axe.run());
      const found = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html).join(" ")}`);
      assert.deepEqual(found, [], colorScheme);
    }
  });
}
