// The operator's page at `/` of the API: rooms with their counts, one room's seats, and what may be done with them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { after, before, test } from "node:test";
import { launch, Visitor } from "./lib/browser.mjs";
import { Server } from "./lib/server.mjs";

const LAYOUT = fileURLToPath(new URL("../../examples/layouts/cinema.json", import.meta.url));
const BINARY = process.env.BUTACA_BINARY ?? fileURLToPath(new URL("../../target/debug/butaca", import.meta.url));
const run = promisify(execFile);
let browser;
let server;
let url;
let folder;
const keys = {};

before(async () => {
  browser = await launch();
  const lines = [];
  for (const role of ["manage", "read"]) {
    const { stdout } = await run(BINARY, ["api-key", role, role]);
    const [key, line] = stdout.trim().split("\n");
    keys[role] = key;
    lines.push(line);
  }
  folder = await mkdtemp(join(tmpdir(), "butaca-keys-"));
  await writeFile(join(folder, "api-keys"), `${lines.join("\n")}\n`);
  server = await Server.start({ API_PORT: "0", API_KEYS_FILE: join(folder, "api-keys") });
  url = server.api;
  await call("PUT", "/v1/layouts/cinema", JSON.parse(await readFile(LAYOUT, "utf8")));
  await call("PUT", "/v1/rooms/fri%20day", { layout: "cinema" });
  await call("PUT", "/v1/rooms/other", {});
  await call("POST", "/v1/rooms/fri%20day/hold", { holder: "desk", seats: ["Screen 1-H-7", "Screen 1-H-8"] });
  await call("POST", "/v1/rooms/fri%20day/hold", { holder: "kiosk", seats: ["Screen 1-A-1"] });
  await call("PUT", "/v1/rooms/fri%20day/orders/o-1", { owner: { holder: "desk" } });
  await call("POST", "/v1/rooms/fri%20day/orders/o-1/book", {});
});

after(async () => {
  await browser?.close();
  await server?.stop();
  if (folder) await rm(folder, { recursive: true });
});

async function call(method, path, body) {
  const headers = { authorization: `Bearer ${keys.manage}`, "content-type": "application/json" };
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${await answer.clone().text()}`);
  return answer.json();
}

async function enter(role, options) {
  const operator = await Visitor.open(browser, options);
  const { page } = operator;
  await page.goto(url);
  await page.getByLabel("Key of the API").fill(keys[role]);
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByRole("link", { name: "fri day" }).waitFor();
  // Without a key the first question was refused, which the console says.
  operator.complaints = operator.complaints.filter((text) => !/401/.test(text));
  return operator;
}

test("an operator sees who has what, frees, blocks, refunds, and pauses the sale", async () => {
  const operator = await enter("manage");
  const { page } = operator;
  const row = page.locator("#rooms tr", { hasText: "fri day" });
  assert.match(await row.textContent(), /fri dayopencinema177102?0?/);
  await page.getByRole("link", { name: "fri day" }).click();
  await page.locator('#map rect[data-seat="Screen 1-H-7"].booked').waitFor();
  assert.match(await page.locator("#seats").textContent(), /Screen 1-H-7booked.*holder desk.*o-1/);
  const seat = (id) => page.locator(`#map rect[data-seat="${id}"]`);
  const press = async (name, id, state) => {
    await page.getByRole("button", { name, exact: true }).click();
    await page.locator(`#map rect[data-seat="${id}"].${state}`).waitFor();
    await page.getByText("Done.").waitFor();
  };
  await seat("Screen 1-A-1").click();
  assert.ok(await page.getByRole("button", { name: "Block", exact: true }).isDisabled(), "only free seats are blocked");
  await press("Free what is held", "Screen 1-A-1", "free");
  await seat("Screen 1-B-1").click();
  await page.getByPlaceholder("label of the block").fill("camera");
  await press("Block", "Screen 1-B-1", "blocked");
  await page.locator("#seats", { hasText: "camera" }).waitFor();
  await seat("Screen 1-B-1").press("Enter");
  await press("Unblock", "Screen 1-B-1", "free");
  await seat("Screen 1-H-7").click();
  await seat("Screen 1-H-8").click();
  await press("Refund the order", "Screen 1-H-7", "free");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("Sale: paused.").waitFor();
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await page.getByText("Sale: open.").waitFor();
  assert.deepEqual(operator.complaints, []);
  await operator.close();
});

test("whose key may only look is told so, on a telephone too", async () => {
  const operator = await enter("read", { viewport: { width: 360, height: 700 } });
  const { page } = operator;
  await page.getByRole("link", { name: "fri day" }).click();
  await page.locator('#map rect[data-seat="Screen 1-C-3"]').click();
  await page.getByRole("button", { name: "Block", exact: true }).click();
  await page.getByText("this key may not do that").waitFor();
  assert.equal((await call("GET", "/v1/rooms/fri%20day/counts")).total.blocked, 0);
  await operator.close();
});
