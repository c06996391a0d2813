// The shop of examples/shop as a child process, with a seat server and its API behind it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Server } from "./server.mjs";

export const PYTHON = process.env.WEB_PYTHON ?? "python3";
export const SHOP = fileURLToPath(new URL("../../../examples/shop/shop.py", import.meta.url));

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
export async function open(settings = {}, shopSettings = {}) {
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
