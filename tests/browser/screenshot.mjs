// Makes docs/web-client.png: the page in a theatre that is half sold, with seats of one's own.
//
// Run: BUTACA_BIN=target/debug/butaca node tests/browser/screenshot.mjs

import { fileURLToPath } from "node:url";
import WebSocket from "ws";
import { PLANS } from "../../static/page/layouts.js";
import { launch, Visitor } from "./lib/browser.mjs";
import { Server } from "./lib/server.mjs";

const NAMES = ["Luis", "Inés", "Marco", "Chen", "Fatou", "Olga", "Ravi", "Jun"];
const MINE = ["G14", "G15", "H14"];
const target = process.argv[2] ?? fileURLToPath(new URL("../../docs/web-client.png", import.meta.url));

const server = await Server.start({ MAX_SEATS_PER_CLIENT: "0" });
const browser = await launch();
const ana = await Visitor.open(browser, { viewport: { width: 1180, height: 800 } });
await ana.visit(server, { name: "Ana", rooms: ["main-hall", "matinee"] });

const sockets = NAMES.map((name) => new WebSocket(`${server.ws}/ws/${encodeURIComponent(name)}`));
await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once("open", resolve))));
const seats = PLANS.theatre().seats.filter(({ id }) => !MINE.includes(id));
let state = 7;
const below = (bound) => (state = (state * 48_271) % 2_147_483_647) % bound;
for (let group = 0; group < 62; group += 1) {
  const [first, size, buyer] = [below(seats.length), 1 + below(4), below(NAMES.length)];
  for (const { id } of seats.slice(first, first + size)) {
    sockets[buyer].send(JSON.stringify({ type: "select_seat", room_id: "main-hall", seat_id: id, user_info: { name: NAMES[buyer] } }));
  }
}
for (const seatId of MINE) {
  await ana.click(seatId);
  await ana.sees(seatId, "mine");
}
await ana.page.mouse.move(0, 0);
await ana.page.screenshot({ path: target });
for (const socket of sockets) socket.terminate();
await browser.close();
await server.stop();
