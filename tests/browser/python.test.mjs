// The Python examples against the real server. `WEB_PYTHON` names a Python that has the package `websockets`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { Server } from "./lib/server.mjs";

const folder = fileURLToPath(new URL("../../examples/python/", import.meta.url));

const REAL = `
import asyncio, sys
from butaca import ButacaClient, Refused
async def main(url):
    async with ButacaClient("ana", url) as client:
        room = await client.join("python")
        cart = await client.select("python", ["A1", "A2"])
        assert cart.seats == ("A1", "A2"), cart
        async with ButacaClient("luis", url) as other:
            try:
                await other.select("python", ["A2"])
            except Refused as refused:
                assert refused.conflicts == ["A2"], refused.frame
        session = client.session
    async with ButacaClient("ana", url, session=session) as client:
        assert client.resumed and client.room("python").cart.seats == ("A1", "A2"), client.room("python")
        await client.join("python")
        assert (await client.release("python")).seats == ()
asyncio.run(main(sys.argv[1]))
print("done")`;

function python(words, { input = "", env = {}, by = process.env.WEB_PYTHON ?? "python3" } = {}) {
  const child = spawn(by, words, {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PYTHONDONTWRITEBYTECODE: "1", ...env },
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  child.stdin.end(input);
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, output })));
}

test("the Python client gives up, dies and leaves in good order", async () => {
  const { code, output } = await python([fileURLToPath(new URL("seats_check.py", import.meta.url))]);
  assert.equal(code, 0, output);
  assert.match(output, /Ran \d\d tests/);
});

describe("the Python package, installed by pip in an environment of its own,", () => {
  let home;
  let inside;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), "butaca-pip-"));
    inside = join(home, "venv/bin/python");
    const made = await python(["-m", "venv", "--without-pip", join(home, "venv")]);
    assert.equal(made.code, 0, made.output);
    // What it needs (websockets, and flit to build it) is there already: nothing is fetched.
    const there = (await python(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])).output.trim();
    const here = (await python(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], { by: inside })).output.trim();
    assert.notEqual(here, there);
    await writeFile(join(here, "needed.pth"), `${there}\n`);
    const source = fileURLToPath(new URL("../../clients/python", import.meta.url));
    const install = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"];
    const installed = await python(["-m", "pip", "--python", inside, "install", ...install, source]);
    assert.equal(installed.code, 0, installed.output);
  });

  after(() => rm(home, { recursive: true, force: true }));

  test("is the installed one", async () => {
    const { output } = await python(["-c", "import butaca, pathlib; print(pathlib.Path(butaca.__file__).parent, (pathlib.Path(butaca.__file__).parent / 'py.typed').exists())"], { by: inside });
    assert.match(output, new RegExp(`^${home}/venv/.*/butaca True$`, "m"));
  });

  test("speaks v2 with a server that says what the test wants", async () => {
    const { code, output } = await python([fileURLToPath(new URL("butaca_check.py", import.meta.url))], { by: inside });
    assert.equal(code, 0, output);
    assert.match(output, /Ran \d\d tests/);
  });

  test("speaks v2 with the real server", async () => {
    const server = await Server.start();
    const { code, output } = await python(["-c", REAL, server.ws], { by: inside });
    await server.stop();
    assert.deepEqual([code, output.trim()], [0, "done"]);
  });
});

describe("the Python examples", () => {
  let server;

  before(async () => {
    server = await Server.start();
  });

  after(() => server?.stop());

  test("find a server at an IPv6 address", async () => {
    const six = await Server.start({ WEBSOCKET_HOST: "::1" });
    const env = { WEBSOCKET_HOST: "::1", WEBSOCKET_PORT: String(six.port) };
    const { code, output } = await python(["test_services.py"], { env });
    await six.stop();
    assert.equal(code, 0, output);
  });

  test("walk through the protocol", async () => {
    const { code, output } = await python(["test_websocket_service.py", "--url", server.ws]);
    assert.equal(code, 0, output);
    assert.match(output, /5 of 5 passed/);
  });

  test("obey a person", async () => {
    const input = "join hall\nselect hall A1\nselect hall A1 B\nrelease hall A2\nrelease hall A1\nping\nleave hall\nquit\n";
    const { code, output } = await python(["test_websocket_service.py", "interactive", "--url", server.ws], { input });
    assert.equal(code, 0, output);
    for (const part of ["room_joined", "seat_selected", "join R, leave R", "refused: not_held", "seat_released", "pong", "room_left"]) {
      assert.ok(output.includes(part), `${part} is missing in:\n${output}`);
    }
  });

  test("let many want the same seats", async () => {
    const { code, output } = await python(["test_websocket_service.py", "multi", "--clients", "20"], { env: { WEBSOCKET_URL: server.ws } });
    assert.equal(code, 0, output);
    assert.match(output, /20 clients, 5 seats: each seat was won once/);
  });

  test("check the services", async () => {
    const { code, output } = await python(["test_services.py"], { env: { WEBSOCKET_HOST: "127.0.0.1", WEBSOCKET_PORT: String(server.port) } });
    assert.equal(code, 0, output);
    for (const name of ["health", "stats", "websocket"]) assert.match(output, new RegExp(`ok +${name}`));
    assert.doesNotMatch(output, /redis/);
  });

  test("check Redis when it is configured", async () => {
    // A Redis that knows two commands is enough to be asked.
    const redis = createServer((socket) => {
      socket.on("data", (data) => socket.write(String(data).includes("wrong") ? "-WRONGPASS invalid password\r\n" : "+OK\r\n"));
      socket.on("error", () => {});
    });
    await new Promise((resolve) => redis.listen(0, "127.0.0.1", resolve));
    const env = { WEBSOCKET_URL: server.ws, REDIS_HOST: "127.0.0.1", REDIS_PORT: String(redis.address().port) };
    const right = await python(["test_services.py"], { env: { ...env, REDIS_PASSWORD: "right" } });
    const wrong = await python(["test_services.py"], { env: { ...env, REDIS_PASSWORD: "wrong" } });
    redis.close();
    assert.equal(right.code, 0, right.output);
    assert.match(right.output, /ok +redis/);
    assert.equal(wrong.code, 1, wrong.output);
    assert.match(wrong.output, /FAIL +redis +-WRONGPASS/);
  });

  test("say so when nobody is there", async () => {
    const { code, output } = await python(["test_websocket_service.py", "--url", "ws://127.0.0.1:9"]);
    assert.equal(code, 2, output);
    assert.match(output, /cannot reach/);
  });
});
