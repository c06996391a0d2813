// The scripted server of v2 behind real sockets, with the page and its layouts: what a browser needs to be tested before
// and beside the real server. Its clock can be set forward, its sockets can be cut.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { WebSocketServer } from "ws";
import { ScriptedSocket, ScriptedV2 } from "./scripted_v2.mjs";

const TICK_MS = 100;
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws:; img-src 'self' data:; base-uri 'none'; form-action 'none'";

export class LiveServer {
  /** No connection gets through. */
  #isCut = false;

  /** @param {ConstructorParameters<typeof ScriptedV2>[0]} options */
  static async start(options) {
    const server = new LiveServer();
    server.seats = new ScriptedV2({ packs: true, ...options });
    server.web = createServer((request, response) => void server.#answer(request, response));
    server.door = new WebSocketServer({ noServer: true });
    server.web.on("upgrade", (request, socket, head) => {
      if (server.#isCut) return socket.destroy();
      server.door.handleUpgrade(request, socket, head, (accepted) => server.#serve(accepted, request.url));
    });
    await new Promise((resolve) => server.web.listen(0, "127.0.0.1", resolve));
    server.timer = setInterval(() => server.pulse(), TICK_MS);
    return server;
  }

  get http() {
    return `http://127.0.0.1:${this.web.address().port}`;
  }

  get ws() {
    return this.http.replace("http", "ws");
  }

  /** A tick: deadlines, then one delta a room. */
  pulse() {
    this.seats.expire();
    this.seats.tick();
    this.flush();
  }

  flush() {
    for (const socket of this.seats.sockets) {
      while (socket.queue.length > 0 && socket.readyState === 1) socket.deliver();
      if (socket.readyState > 1) socket.queue = [];
    }
  }

  /** The network is away: sockets end without a word, new ones do not come up. */
  cut() {
    this.#isCut = true;
    for (const accepted of this.door.clients) accepted.terminate();
  }

  mend() {
    this.#isCut = false;
  }

  async stop() {
    clearInterval(this.timer);
    this.cut();
    this.web.closeAllConnections();
    await new Promise((resolve) => this.web.close(resolve));
  }

  #serve(accepted, url) {
    const socket = new ScriptedSocket(this.seats, url);
    socket.onmessage = ({ data }) => accepted.send(data);
    socket.onclose = ({ code }) => accepted.close(code === 1005 ? 1000 : code);
    accepted.on("message", (data) => {
      this.seats.hear(socket, String(data));
      this.flush();
    });
    accepted.on("close", () => {
      if (socket.readyState < 2) socket.ends(1005);
      this.seats.notice();
    });
    socket.opens();
    this.flush();
  }

  async #answer({ url }, response) {
    const path = new URL(url, "http://x").pathname;
    const [, folder, id, version] = path.split("/");
    const layout = Object.values(this.seats.layouts).find((each) => each.id === id && each.version === version);
    if (folder === "layouts" && layout) {
      response.writeHead(200, { "content-type": "application/json" });
      return response.end(JSON.stringify(layout));
    }
    const name = path === "/" ? "websocket_client.html" : path.startsWith("/static/") ? path.slice("/static/".length) : "none";
    const body = /^[\w.-]+$/.test(name) && (await readFile(new URL(`../../../static/${name}`, import.meta.url)).catch(() => undefined));
    response.writeHead(body ? 200 : 404, { "content-type": TYPES[extname(name)] ?? "text/plain", "content-security-policy": POLICY, "access-control-allow-origin": "*" });
    response.end(body || "nothing");
  }
}

/** A hall of so many seats in blocks of rows, with places for wheelchairs in the first row of each block. */
export function stadium(blocks, rows, across) {
  const wide = Math.ceil(Math.sqrt(blocks * 2));
  const seats = [];
  for (let block = 0; block < blocks; block += 1) {
    const [left, top] = [(block % wide) * (across + 3) * 20, Math.floor(block / wide) * (rows + 4) * 22];
    for (let row = 0; row < rows; row += 1) {
      for (let number = 1; number <= across; number += 1) {
        seats.push({
          id: `${block + 1}-${row + 1}-${number}`, section: String(block + 1), row: String(row + 1), number, category: "a",
          x: left + number * 20, y: top + row * 22, ...(row === 0 && number <= 4 && { accessible: true }),
        });
      }
    }
  }
  const width = wide * (across + 3) * 20;
  return {
    id: `stadium-${seats.length}`, version: "v1", seats, categories: [{ id: "a", name: "A" }],
    shapes: [{ type: "polygon", label: "PITCH", points: [{ x: width * 0.3, y: -160 }, { x: width * 0.7, y: -160 }, { x: width * 0.7, y: -60 }, { x: width * 0.3, y: -60 }] }],
  };
}
