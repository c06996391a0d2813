// docs/asyncapi.yaml: valid by itself, and in agreement with its examples, with the guides, and with the real server.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { before, describe, test } from "node:test";
import { Parser } from "@asyncapi/parser";
import { Ajv } from "ajv";
import formats from "ajv-formats";
import WebSocket from "ws";
import { Server } from "./lib/server.mjs";

const docs = new URL("../../docs/", import.meta.url);

/** @type {{ name: string, type: string, fields: Set<string>, fits: import("ajv").ValidateFunction, examples: any[] }[]} */
let messages;
let diagnostics;

before(async () => {
  const parsed = await new Parser().parse(await readFile(new URL("asyncapi.yaml", docs), "utf8"));
  diagnostics = parsed.diagnostics;
  assert.ok(parsed.document, JSON.stringify(diagnostics, null, 1));
  const ajv = new Ajv({ strict: false, allErrors: true });
  formats.default(ajv);
  messages = parsed.document.allMessages().all().map((message) => {
    const schema = message.payload().json();
    return {
      name: message.id(),
      type: schema.properties.type.const,
      fields: new Set(Object.keys(schema.properties)),
      fits: ajv.compile(schema),
      examples: message.examples().all().map((example) => example.payload()),
    };
  });
});

/** The one message of the document that `frame` is; says why when it is none. */
function messageOf(frame) {
  const candidates = messages.filter(({ type }) => type === frame.type);
  const found = candidates.find(({ fits }) => fits(frame));
  const why = candidates.map(({ name, fits }) => `${name}: ${JSON.stringify(fits.errors)}`).join("\n");
  assert.ok(found, `${JSON.stringify(frame)} is no message of the document\n${why}`);
  return found;
}

test("the document is a valid AsyncAPI document", () => {
  const bad = diagnostics.filter(({ severity }) => severity <= 1).map(({ message, path }) => `${path.join(".")}: ${message}`);
  assert.deepEqual(bad, []);
});

test("each message has examples, and they are that message", () => {
  for (const { name, examples } of messages) {
    assert.ok(examples.length > 0, `${name} has no example`);
    for (const example of examples) assert.equal(messageOf(example).name, name);
  }
});

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
        messageOf(frame);
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

    for (const frame of frames) {
      const { name, fields } = messageOf(frame);
      for (const field of Object.keys(frame)) assert.ok(fields.has(field), `${name} has an undocumented field ${field}`);
    }
    const names = new Set(frames.map((frame) => messageOf(frame).name));
    const requests = new Set(["join_room", "leave_room", "select_seat", "release_seat", "ping"]);
    const missing = messages.map(({ name }) => name).filter((name) => !names.has(name) && !requests.has(name));
    assert.deepEqual(missing, [], "the dialogue shows every message");
    const codes = new Set(frames.filter(({ type }) => type === "error").map(({ code }) => code));
    for (const code of ["seat_taken", "not_held", "not_owner", "limit_exceeded", "bad_json", "bad_request", "unknown_type"]) {
      assert.ok(codes.has(code), `${code} did not come`);
    }
  });
});
