// The module as npm packs it: what is in it, that it is the one that is served, and that its types hold for who uses it.

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Server } from "./lib/server.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const read = (path) => readFile(path, "utf8");
let home;
let installed;

before(async () => {
  home = await mkdtemp(join(tmpdir(), "butaca-npm-"));
  const pack = ["pack", "--silent", "--offline", "--pack-destination", home];
  execFileSync("npm", pack, { cwd: join(here, "../../clients/js"), env: { ...process.env, npm_config_cache: join(home, "cache") } });
  installed = join(home, "node_modules/butaca-client");
  await writeFile(join(home, "package.json"), '{"type":"module"}');
  const packed = (await readdir(home)).find((name) => name.endsWith(".tgz"));
  const install = ["install", "--silent", "--offline", "--no-audit", "--no-fund", join(home, packed)];
  execFileSync("npm", install, { cwd: home, env: { ...process.env, npm_config_cache: join(home, "cache") } });
});

after(() => rm(home, { recursive: true, force: true }));

test("the package has the served module, its types and a README, and nothing else", async () => {
  const files = await readdir(join(installed, "lib"));
  const modules = files.filter((name) => name.endsWith(".js"));
  assert.ok(modules.length >= 12, `only ${modules}`);
  for (const name of modules) {
    assert.equal(await read(join(installed, "lib", name)), await read(join(here, "../../static", name)), name);
    assert.ok(files.includes(name.replace(/js$/, "d.ts")), `${name} has no types`);
  }
  assert.equal(files.length, 2 * modules.length);
  assert.deepEqual((await readdir(installed)).sort(), ["README.md", "lib", "package.json"]);
});

test("it is used with its types, from JavaScript and from TypeScript", async () => {
  const use = `
    import { ButacaClient, RoomMap, type Outcome } from "butaca-client";
    const client = new ButacaClient({ url: "ws://x", clientId: "ana", protocol: "auto", token: async () => "jwt", storage: null });
    const outcome: Outcome = await client.select("hall", ["A1", "A2"]);
    if (!outcome.ok) console.log(outcome.code.length);
    const room = client.room("hall");
    if (room instanceof RoomMap) console.log(room.cart.seats.join(), room.states?.length, client.remaining(room.cart));
    void client.selectBest("hall", { quantity: 2, accessible: 1 });
    // @ts-expect-error: a quantity is a number.
    void client.selectBest("hall", "2");
    // @ts-expect-error: there is no such version.
    new ButacaClient({ url: "ws://x", clientId: "ana", protocol: "v3" });
  `;
  await writeFile(join(home, "use.ts"), use);
  const options = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--lib", "es2023,dom", "--types", ""];
  execFileSync(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), ...options, join(home, "use.ts")], { cwd: home, stdio: "inherit" });
  const said = execFileSync(process.execPath, ["--input-type=module", "-e", 'import { isValidId } from "butaca-client"; console.log(isValidId("A1"))'], { cwd: home });
  assert.equal(String(said).trim(), "true");
});

test("installed, it buys from the real server", async () => {
  const server = await Server.start();
  const program = `
    import { createRequire } from "node:module";
    import { ButacaClient } from "butaca-client";
    const WebSocket = createRequire(${JSON.stringify(import.meta.url)})("ws");
    const [ana, luis] = ["ana", "luis"].map((clientId) => new ButacaClient({ url: process.argv[1], clientId, storage: null, WebSocket }));
    for (const client of [ana, luis]) {
      const known = new Promise((resolve) => client.addEventListener("change", () => client.room("hall").known && resolve()));
      client.join("hall");
      client.connect();
      await known;
    }
    const held = await ana.select("hall", ["A1", "A2"]);
    const refused = await luis.select("hall", ["A2", "A3"]);
    console.log(JSON.stringify([ana.protocol, held.ok, ana.room("hall").cart.seats, refused.code, luis.room("hall").cart.seats]));
    for (const client of [ana, luis]) client.close();
  `;
  try {
    const said = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program, server.ws], { cwd: home });
    assert.deepEqual(JSON.parse(said.stdout), ["v2", true, ["A1", "A2"], "seats_unavailable", []]);
  } finally {
    await server.stop();
  }
});
