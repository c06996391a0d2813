// Makes the pictures of the documents: docs/web-client.png, a theatre that is partly sold, with seats of one's own;
// docs/web-phone.png, the same on a phone; docs/web-arena.png, the arena in the dark; docs/web-stadium.png, a stadium of
// 50,000 that sells, with a cart.
//
// Run: BUTACA_BINARY=target/debug/butaca node tests/browser/screenshot.mjs [FOLDER]

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import WebSocket from "ws";
import { PLANS } from "../../static/page/layouts.js";
import { launch, Visitor } from "./lib/browser.mjs";
import { LiveServer, stadium } from "./lib/live.mjs";
import { Server } from "./lib/server.mjs";

const NAMES = ["Luis", "Inés", "Marco", "Chen", "Fatou", "Olga", "Ravi", "Jun"];
const MINE = ["G14", "G15", "H14"];
const folder = process.argv[2] ?? fileURLToPath(new URL("../../docs", import.meta.url));

const server = await Server.start({ MAX_SEATS_PER_CLIENT: "0" });
const browser = await launch();
const sockets = NAMES.map((name) => new WebSocket(`${server.ws}/ws/${encodeURIComponent(name)}`));
await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once("open", resolve))));
let state = 7;
const below = (bound) => (state = (state * 48_271) % 2_147_483_647) % bound;

/** Sells groups of one to four neighbours, and waits until the server has answered everybody. */
async function sell(roomId, seats, groups) {
  for (let group = 0; group < groups; group += 1) {
    const [first, size, buyer] = [below(seats.length), 1 + below(4), below(NAMES.length)];
    for (const { id } of seats.slice(first, first + size)) {
      sockets[buyer].send(JSON.stringify({ type: "select_seat", room_id: roomId, seat_id: id, user_info: { name: NAMES[buyer] } }));
    }
  }
  await Promise.all(sockets.map((socket) => new Promise((resolve) => {
    socket.on("message", (data) => JSON.parse(String(data)).type === "pong" && resolve());
    socket.send('{"type":"ping"}');
  })));
}

async function picture(file, name, rooms, plan, options, seats) {
  const visitor = await Visitor.open(browser, options);
  await visitor.visit(server, { name, rooms, plan });
  for (const seatId of seats) {
    if (options.isMobile) {
      // The first tap comes closer, as the plan is too small for a finger.
      if (seatId === seats[0]) await visitor.seat(seatId).tap();
      await visitor.page.waitForFunction((id) => document.querySelector(`[data-seat="${id}"]`).getBoundingClientRect().width > 20, seatId);
      await visitor.seat(seatId).tap();
    } else {
      await visitor.click(seatId);
    }
    await visitor.sees(seatId, "mine");
  }
  await visitor.page.mouse.move(0, 0);
  await visitor.page.screenshot({ path: join(folder, file), animations: "disabled" });
  await visitor.close();
}

await sell("main-hall", PLANS.theatre().seats.filter(({ id }) => !MINE.includes(id)), 62);
await sell("arena-night", PLANS.arena().seats, 200);
await picture("web-client.png", "Ana", ["main-hall", "matinee"], "theatre", { viewport: { width: 1180, height: 800 } }, MINE);
const phone = { viewport: { width: 390, height: 800 }, isMobile: true, hasTouch: true };
await picture("web-phone.png", "Ana", ["main-hall", "matinee"], "theatre", phone, MINE);
const dark = { viewport: { width: 1060, height: 720 }, colorScheme: "dark" };
await picture("web-arena.png", "Ana", ["arena-night"], "arena", dark, []);

const hall = stadium(100, 20, 25);
const carts = await LiveServer.start({ layouts: { hall } });
for (let group = 0; group < 4_000; group += 1) {
  const [first, size] = [below(hall.seats.length), 1 + below(4)];
  for (const { id } of hall.seats.slice(first, first + size)) {
    if (!carts.seats.room("hall").taken.has(id)) carts.seats.change(carts.seats.room("hall"), id, below(3) === 0 ? "booked" : "held", "luis");
  }
}
const ana = await Visitor.open(browser, { viewport: { width: 1180, height: 800 } });
await ana.visit(carts, { name: "Ana", protocol: "v2" });
await ana.page.getByRole("button", { name: "The best 4 seats together" }).click();
await ana.page.locator("#cart-time").waitFor();
for (let step = 0; step < 3; step += 1) await ana.page.locator("#zoom-in").click();
await ana.page.locator("#map").evaluate((map) => map.scrollTo(0, map.scrollHeight * 0.12));
await ana.page.mouse.move(0, 0);
await ana.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
await ana.page.screenshot({ path: join(folder, "web-stadium.png"), animations: "disabled" });
await carts.stop();

for (const socket of sockets) socket.terminate();
await browser.close();
await server.stop();
