// The shop of examples/shop as a child process, with a seat server and its API behind it.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Server } from "./server.mjs";

export const PYTHON = process.env.WEB_PYTHON ?? "python3";
export const SHOP = fileURLToPath(new URL("../../../examples/shop/shop.py", import.meta.url));

const START_LIMIT_MS = 30_000;

/** The address that the shop says when it listens. */
function addressOf(child) {
  return new Promise((resolve, reject) => {
    let output = "";
    const timer = setTimeout(() => reject(new Error(`no address within ${START_LIMIT_MS} ms:\n${output}`)), START_LIMIT_MS);
    const read = (chunk) => {
      output += chunk;
      const found = /running on (http:\/\/[\d.]+:\d+)/.exec(output);
      if (!found) return;
      clearTimeout(timer);
      resolve(found[1]);
    };
    for (const stream of [child.stdout, child.stderr]) stream.on("data", read);
    child.once("exit", (code) => reject(new Error(`it ended with ${code}:\n${output}`)));
  });
}

/** A seat server with its API, and a shop. */
export async function open(settings = {}, shopSettings = {}) {
  const server = await Server.start({ API_PORT: "0", RESELECT_AFTER_MS: "0", MAX_CONNECTIONS_PER_IP: "0", ...settings });
  const env = {
    PATH: process.env.PATH, HOME: process.env.HOME, SHOP_PORT: "0", SHOP_DB: join(server.folder, "shop.sqlite"),
    BUTACA_API: server.api, BUTACA_URL: server.http, CHECKOUT_S: "3", ...shopSettings,
  };
  const child = spawn(PYTHON, [SHOP], { env });
  const url = await addressOf(child);
  const close = async () => {
    child.kill();
    await server.stop();
  };
  return { server, api: server.api, url, close };
}
