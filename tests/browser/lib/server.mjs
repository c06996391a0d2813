// The real server as a child process: a free port, the memory store, settings by environment.
//
// `BUTACA_BINARY` names another binary; `scripts/test_web.sh` builds and names the one under test.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const BINARY = process.env.BUTACA_BINARY ?? fileURLToPath(new URL("../../../target/debug/butaca", import.meta.url));
const START_LIMIT_MS = 20_000;

export class Server {
  /** @param {Record<string, string>} settings */
  static async start(settings = {}) {
    const server = new Server();
    server.folder = await mkdtemp(join(tmpdir(), "butaca-web-"));
    server.settings = { STORE: "memory", WEBSOCKET_HOST: "127.0.0.1", SHARDS: "1", DATA_DIR: server.folder, ...settings };
    await server.#run("0");
    return server;
  }

  get http() {
    return `http://${this.#host}:${this.port}`;
  }

  get ws() {
    return `ws://${this.#host}:${this.port}`;
  }

  /** The API of the shop's backend, where it is on. */
  get api() {
    return `http://127.0.0.1:${this.apiPort}`;
  }

  get #host() {
    const host = this.settings.WEBSOCKET_HOST;
    return host.includes(":") ? `[${host}]` : host;
  }

  /** Ends it without a chance to say goodbye. */
  kill() {
    return this.end("SIGKILL");
  }

  async end(signal = "SIGTERM") {
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill(signal);
    await gone;
  }

  /** The same ports again, with nothing remembered but what the store kept. */
  async restart() {
    await this.#run(String(this.port));
  }

  async stop() {
    if (this.child.exitCode === null && this.child.signalCode === null) await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #run(port) {
    this.output = "";
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, RATE_MESSAGES_PER_S: "0", API_PORT: "off", ...this.settings, WEBSOCKET_PORT: port };
    if (this.apiPort) env.API_PORT = this.apiPort;
    this.child = spawn(BINARY, [], { env, cwd: this.folder, stdio: ["ignore", "pipe", "pipe"] });
    this.port = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no port within ${START_LIMIT_MS} ms:\n${this.output}`)), START_LIMIT_MS);
      const read = (chunk) => {
        this.output += chunk;
        const found = /ws:\/\/[^\s/]*:(\d+)/.exec(this.output);
        const api = env.API_PORT === "off" || /^ *api +http:\/\/[^\s/]*:(\d+)/m.exec(this.output);
        if (!found || !api) return;
        clearTimeout(timer);
        this.apiPort = api[1];
        resolve(Number(found[1]));
      };
      this.child.stdout.on("data", read);
      this.child.stderr.on("data", read);
      this.child.once("error", reject);
      this.child.once("exit", (code) => reject(new Error(`it ended with ${code}:\n${this.output}`)));
    });
    await this.#ready();
  }

  async #ready() {
    const until = Date.now() + START_LIMIT_MS;
    for (;;) {
      const answer = await fetch(`${this.http}/health`).catch(() => undefined);
      await answer?.arrayBuffer();
      if (answer?.ok) return;
      if (Date.now() > until) throw new Error(`not healthy within ${START_LIMIT_MS} ms:\n${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
