// docs/asyncapi.yaml (v1) and docs/asyncapi-v2.yaml: valid by themselves, and in agreement with their examples, with the
// guides, and with what servers send.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { before, describe, test } from "node:test";
import WebSocket from "ws";
import { documented, messageOf, readDocuments } from "./lib/documents.mjs";
import { ScriptedV2, smallLayout } from "./lib/scripted_v2.mjs";
import { Server } from "./lib/server.mjs";

const docs = new URL("../../docs/", import.meta.url);

let messages;
let diagnostics;

before(async () => {
  ({ messages, diagnostics } = await readDocuments());
});

for (const version of ["v1", "v2"]) {
  test(`the document of ${version} is a valid AsyncAPI document`, () => {
    const bad = diagnostics[version].filter(({ severity }) => severity <= 1).map(({ message, path }) => `${path.join(".")}: ${message}`);
    assert.deepEqual(bad, []);
  });

  test(`each message of ${version} has examples, and they are that message`, () => {
    for (const { name, examples } of messages[version]) {
      assert.ok(examples.length > 0, `${name} has no example`);
      for (const example of examples) assert.equal(messageOf(messages[version], example).name, name);
    }
  });
}

test("the scripted server of v2 sends only what the document knows, and all of it", () => {
  const server = new ScriptedV2({ layouts: { hall: smallLayout(6) }, auth: "required", holdMs: 60_000 });
  const socket = new server.WebSocket("");
  socket.opens();
  const frames = socket.queue;
  let id = 0;
  const say = (frame) => server.hear(socket, JSON.stringify({ id: (id += 1), ...frame }));
  const inHall = { room_id: "hall" };
  for (const frame of [
    { type: "auth", token: "good" }, { type: "join_room", ...inHall }, { type: "join_room", room_id: "open", since: { epoch: "x", seq: 1 } },
    { type: "select_seats", ...inHall, seats: ["S1", "S2"] }, { type: "select_best", ...inHall, quantity: 9 }, { type: "extend_hold", ...inHall },
    { type: "select_best", ...inHall, quantity: 2 }, { type: "release_seats", ...inHall, seats: ["S1"] }, { type: "sync", room_id: "open" },
    { type: "select_seats", room_id: "open", seats: ["A1"] }, { type: "leave_room", room_id: "open" }, { type: "ping", t: 1.5 }, { type: "dance" },
  ]) say(frame);
  server.backend("checkout", "hall");
  server.backend("book", "hall");
  server.setSale("hall", "paused");
  server.tick();
  server.relayout("hall", smallLayout(8));
  server.tick();
  server.goaway([500, 8_000]);
  server.offsetMs = 45_000;
  server.expire();
  server.offsetMs = 90_000;
  server.expire();
  const [greeting] = frames;
  say({ type: "resume", session_token: greeting.session_token, rooms: ["hall"] });
  const told = messages.v2.map(({ name }) => name).filter((name) => frames.some(({ type }) => type === name));
  assert.deepEqual([...documented(messages.v2, frames)].sort(), [...told].sort());
  const requests = requestsOfV2();
  assert.deepEqual(messages.v2.map(({ name }) => name).filter((name) => !told.includes(name) && !requests.has(name)), [], "all are shown");
});

/** Messages that only clients send. */
function requestsOfV2() {
  return new Set(["resume", "auth", "join_room", "leave_room", "select_seats", "select_seat", "select_best", "release_seats", "release_seat",
    "extend_hold", "sync", "ping"]);
}

test("each message in the guides is one", async () => {
  const guides = (await readdir(docs, { recursive: true })).filter((path) => path.endsWith(".md"));
  let seen = 0;
  for (const path of guides) {
    const text = await readFile(new URL(path, docs), "utf8");
    for (const [, block] of text.matchAll(/```json\n([\s\S]*?)```/g)) {
      // One message a line, or one message a block.
      const parts = isJson(block) ? [block] : block.split("\n").filter((line) => line.trim() !== "");
      for (const part of parts) {
        assert.ok(isJson(part), `${path}: not JSON: ${part}`);
        const frame = JSON.parse(part);
        if (frame.type === undefined) continue;
        messageOf([...messages.v1, ...messages.v2], frame);
        seen += 1;
      }
    }
  }
  assert.ok(seen >= 20, `only ${seen} messages were found in the guides`);
});

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("the real server", () => {
  test("sends only what the document knows, field by field", async () => {
    const server = await Server.start({ HOLD_TTL_MS: "1000", MAX_SEATS_PER_CLIENT: "2" });
    const frames = [];
    const open = async (name) => {
      const socket = new WebSocket(`${server.ws}/ws/${name}`);
      await new Promise((resolve) => socket.once("open", resolve));
      socket.on("message", (data) => frames.push(JSON.parse(String(data))));
      return socket;
    };
    const until = async (fits) => {
      while (!frames.some(fits)) await new Promise((resolve) => setTimeout(resolve, 10));
    };
    const [ana, luis] = [await open("ana"), await open("luis")];
    const say = (socket, frame) => socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
    const seat = (type, seat_id) => ({ type, room_id: "hall", seat_id, user_info: { name: "Ana", n: 1.0 } });
    say(luis, { type: "join_room", room_id: "hall" });
    await until(({ type }) => type === "room_joined");
    for (const frame of [
      { type: "join_room", room_id: "hall" }, seat("select_seat", "A1"), seat("select_seat", "A1"), seat("select_seat", "A2"),
      seat("select_seat", "A3"), seat("release_seat", "A9"), { type: "join_room", room_id: "hall" }, seat("release_seat", "A2"),
      "{", "[]", "{}", { type: "dance" }, { type: "join_room" }, { type: "ping" },
    ]) say(ana, frame);
    await until(({ type }) => type === "pong");
    for (const frame of [seat("select_seat", "A1"), seat("release_seat", "A1"), { type: "leave_room", room_id: "balcony" }]) say(luis, frame);
    await until(({ type }) => type === "room_left");
    await until(({ reason }) => reason === "expired");
    say(ana, seat("select_seat", "B1"));
    await until(({ type, seat_id }) => type === "seat_selected" && seat_id === "B1");
    ana.close();
    await until(({ reason }) => reason === "disconnected");
    luis.close();
    await server.stop();

    const names = documented(messages.v1, frames);
    const requests = new Set(["join_room", "leave_room", "select_seat", "release_seat", "ping"]);
    const missing = messages.v1.map(({ name }) => name).filter((name) => !names.has(name) && !requests.has(name));
    assert.deepEqual(missing, [], "the dialogue shows every message");
    const codes = new Set(frames.filter(({ type }) => type === "error").map(({ code }) => code));
    for (const code of ["seat_taken", "not_held", "not_owner", "limit_exceeded", "bad_json", "bad_request", "unknown_type"]) {
      assert.ok(codes.has(code), `${code} did not come`);
    }
  });
});
