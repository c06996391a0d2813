// The code that the guides show does what they say: every block of JavaScript and Python is run against the real server.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Server } from "./lib/server.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** Where `ws` is found. */
const home = fileURLToPath(new URL(".", import.meta.url));
const run = promisify(execFile);
const RUN_LIMIT_MS = 30_000;
const GUIDES = [
  "README.md", "docs/WEBSOCKET_GUIDE.md", "docs/es/GUIA_WEBSOCKET.md", "docs/CARTS.md", "docs/es/CARRITOS.md", "clients/js/README.md",
  "clients/python/README.md",
];
/** The API of the shop's backend has its tests elsewhere: api_check.py. */
const ELSEWHERE = /from butaca\.api import/;
const NAMES = /"(?:hall-1|sala-1|hamlet)"/g;

/** Before each program: what a page has, what it says, and how to wait. */
const PAGE = `
  import Socket from "ws";
  const sockets = [], said = [], button = {}, draw = () => {}, showCart = () => {};
  globalThis.WebSocket = class extends Socket { constructor(...words) { super(...words); sockets.push(this); } };
  console.log = console.warn = (...words) => said.push(words.join(" "));
  async function until(holds) {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  function end(result) {
    process.stdout.write(JSON.stringify({ said, ...result }), () => process.exit(0));
  }
`;
const MODULE_V2 = {
  after: `
    await until(() => client.status === "open" && client.room("ROOM").known);
    const held = [], refused = [];
    client.addEventListener("refused", ({ detail }) => refused.push(detail.code));
    client.addEventListener("cart", ({ detail }) => held.push(detail.cart.seats));
    await button.onclick();
    end({ held, refused });`,
  check: ({ held, refused }) => assert.deepEqual([held[0], refused], [["A1", "A2"], []]),
};
const MODULE_V1 = {
  after: `
    await until(() => client.status === "open" && client.room("ROOM").joined);
    await button.onclick();
    end({ look: client.room("ROOM").seat("A1").status });`,
  check: ({ look, said }) => assert.deepEqual([look, said.at(-1)], ["mine", "ROOM mine"]),
};
const BARE_V2 = {
  layout: false,
  after: `
    await until(() => said.length > 0);
    button.onclick();
    await until(() => said.some((line) => line.includes("A1,A2")) && said.some((line) => line.startsWith("A2 ")));
    said.push("---");
    sockets[0].terminate();
    await until(() => said.at(-1) !== "---" && said.at(-1).includes("A1,A2"));
    end({ sockets: sockets.length });`,
  check: ({ said, sockets }) => {
    assert.equal(sockets, 2);
    for (const seat of ["A1", "A2"]) assert.ok(said.some((line) => line.startsWith(`${seat} `) && line.endsWith(" 1")), said.join("\n"));
  },
};
const BARE_V1 = {
  layout: false,
  after: `
    await until(() => socket.readyState === 1);
    socket.send('{"type":"select_seat","room_id":"ROOM","seat_id":"A1"}');
    socket.send('{"type":"release_seat","room_id":"ROOM","seat_id":"A1"}');
    socket.send('{"type":"release_seat","room_id":"ROOM","seat_id":"A1"}');
    await until(() => said.length === 3);
    end({});`,
  check: ({ said }) => {
    assert.match(said[0], /^A1 (is mine|es mía)$/);
    assert.match(said[1], /^A1 (is free|libre)$/);
    assert.equal(said[2], "A1 not_held");
  },
};
const CONSOLE = {
  layout: false,
  // Line by line, as a person types them.
  wrap: (code) => `
    for (const line of ${JSON.stringify(code.trim().split("\n"))}) {
      const before = said.length;
      (0, eval)(line);
      await until(() => said.length > before);
    }
    await until(() => said.some((line) => line.includes("seats_held")));`,
  after: "end({});",
  check: ({ said }) => assert.ok(said.some((line) => line.includes('"seats":["A1","A2"]')), said.join("\n")),
};
const PYTHON_V2 = {
  before: "from butaca import ButacaClient, Refused, reconnecting",
  after: '    print("cart", *client.room("ROOM").cart.seats)\n    print("done")',
  check: (output) => assert.match(output, /(^|\n)cart( [ABC]\d)*\ndone\n$/),
};
const PYTHON_V1 = {
  before: "from seats import Refused, SeatClient",
  after: '    print(reply["type"])',
  check: (output) => assert.equal(output, "seat_selected\n"),
};

/** Every block of code in the guides, with a room of its own: in halls with a layout for all but who wants none. */
const blocks = [];
for (const guide of GUIDES) {
  const text = await readFile(join(root, guide), "utf8");
  for (const [, language, code] of text.matchAll(/```(js|python)\n([\s\S]*?)```/g)) {
    if (ELSEWHERE.test(code)) continue;
    const kind = kindOf(language, code);
    blocks.push({ guide, language, code, kind, room: `${kind.layout === false ? "names" : "hall"}-${blocks.length}` });
  }
}

function kindOf(language, code) {
  if (language === "python") return code.includes("SeatClient") ? PYTHON_V1 : PYTHON_V2;
  if (code.includes("new ButacaClient")) return code.includes('protocol: "v1"') ? MODULE_V1 : MODULE_V2;
  if (code.includes("s = new WebSocket")) return CONSOLE;
  return code.includes("?v=2") ? BARE_V2 : BARE_V1;
}

let folder;
let server;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "butaca-guides-"));
  await mkdir(join(folder, "layouts"));
  const seats = ["A", "B", "C"].flatMap((row) => Array.from({ length: 8 }, (_, index) => seatOf(row, index + 1)));
  await writeFile(join(folder, "layouts/small.json"), JSON.stringify({ name: "Small", categories: [{ id: "a", name: "A" }], seats }));
  const rooms = Object.fromEntries(blocks.map(({ room }) => [room, room.startsWith("hall") ? { layout: "small" } : {}]));
  await writeFile(join(folder, "rooms.json"), JSON.stringify(rooms));
  server = await Server.start({ LAYOUTS_DIR: join(folder, "layouts"), ROOMS_FILE: join(folder, "rooms.json") });
});

after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

function seatOf(row, number) {
  return { id: `${row}${number}`, section: "stalls", row, number, category: "a", x: number * 20, y: row.charCodeAt(0) * 20, accessible: row === "C" && number < 5 };
}

/** What the program says that the block is in. */
async function result({ language, code, kind, room }) {
  const here = (text) => text.replaceAll(NAMES, `"${room}"`).replaceAll("ROOM", room).replaceAll("ws://localhost:8001", server.ws);
  if (language === "python") {
    const body = here(`${code}${kind.after}`).replaceAll(/^/gm, "    ");
    const words = ["-c", `import asyncio\n${kind.before}\nasync def main():\n${body}\nasyncio.run(main())\n`];
    const env = { ...process.env, PYTHONPATH: [`${root}clients/python/src`, `${root}examples/python`].join(":"), PYTHONDONTWRITEBYTECODE: "1" };
    return (await run(process.env.WEB_PYTHON ?? "python3", words, { env, timeout: RUN_LIMIT_MS })).stdout;
  }
  const module = here(kind.wrap ? kind.wrap(code) : code).replaceAll(/from "(?:\.\/butaca-client\.js|butaca-client)"/g, `from "file://${root}static/butaca-client.js"`);
  const program = `${PAGE}\n${module}\n${here(kind.after)}`;
  return JSON.parse((await run(process.execPath, ["--input-type=module", "-e", program], { cwd: home, timeout: RUN_LIMIT_MS })).stdout);
}

describe("what the guides show works", () => {
  for (const block of blocks) {
    const { guide, language, kind, room } = block;
    test(`${guide}: ${language}, ${block.code.trim().split("\n").at(-1)} (${room})`, async () => {
      const told = await result(block);
      kind.check(typeof told === "string" ? told : JSON.parse(JSON.stringify(told).replaceAll(room, "ROOM")));
    });
  }
});

test("they show version 2 first, in each language", () => {
  for (const guide of GUIDES) {
    for (const language of ["js", "python"]) {
      const kinds = blocks.filter((block) => block.guide === guide && block.language === language).map(({ kind }) => kind);
      assert.equal([MODULE_V1, BARE_V1, PYTHON_V1].includes(kinds[0]), false, `${guide}: ${language}`);
    }
  }
  assert.ok(blocks.length >= 14, `only ${blocks.length} blocks`);
});
