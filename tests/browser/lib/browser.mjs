// Headless Chromium, and the page as its users meet it: seats by id, states by shape.

import { chromium } from "playwright-core";
import { pathToFileURL, fileURLToPath } from "node:url";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

export const PAGE_FILE = pathToFileURL(fileURLToPath(new URL("../../../static/websocket_client.html", import.meta.url))).href;

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
}

/** One person with the page open. Whatever the page complains about is collected in `complaints`. */
export class Visitor {
  complaints = [];

  /** @param {import("playwright-core").Browser} browser @param {import("playwright-core").BrowserContextOptions} [options] */
  static async open(browser, options = {}) {
    const visitor = new Visitor();
    visitor.context = await browser.newContext({ locale: "en-GB", ...options });
    visitor.page = await visitor.context.newPage();
    visitor.page.setDefaultTimeout(30_000);
    visitor.page.on("pageerror", (error) => visitor.complaints.push(String(error)));
    visitor.page.on("console", (message) => message.type() === "error" && visitor.complaints.push(message.text()));
    return visitor;
  }

  /** Opens the page of a server and waits until it is in its room. @param {import("./server.mjs").Server} server */
  async visit(server, { name, rooms = ["hall"], plan = "theatre", lang = "en", protocol = "v1" }) {
    const query = new URLSearchParams({ name, plan, lang, protocol });
    for (const room of rooms) query.append("room", room);
    await this.page.goto(`${server.http}/?${query}`);
    await this.connected();
  }

  async connected() {
    await this.page.waitForSelector('body[data-status="open"]');
  }

  seat(seatId) {
    return this.page.locator(`#map [data-seat="${seatId}"]`);
  }

  async click(seatId) {
    await this.seat(seatId).click();
  }

  /** Waits until a seat looks like that. @param {string} seatId @param {string} look */
  async sees(seatId, look) {
    await this.page.locator(`#map [data-seat="${seatId}"].${look}`).waitFor({ state: "attached" });
  }

  /** Waits until the live region says something. @param {string | RegExp} text */
  async hears(text) {
    await this.page.locator("#say", { hasText: text }).waitFor({ state: "attached" });
  }

  async close() {
    await this.context.close();
  }
}
