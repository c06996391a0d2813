// docs/asyncapi.yaml and docs/asyncapi-v2.yaml as things that frames can be held against.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";
import { Ajv } from "ajv";
import formats from "ajv-formats";

const docs = new URL("../../../docs/", import.meta.url);

/**
 * @typedef {{ name: string, type: string, fields: Set<string>, fits: import("ajv").ValidateFunction, examples: any[] }} Message
 * @returns {Promise<{ messages: Record<string, Message[]>, diagnostics: Record<string, any[]> }>} By version.
 */
export async function readDocuments() {
  const [messages, diagnostics] = [{}, {}];
  for (const [version, file] of [["v1", "asyncapi.yaml"], ["v2", "asyncapi-v2.yaml"]]) {
    const parsed = await new Parser().parse(await readFile(new URL(file, docs), "utf8"));
    diagnostics[version] = parsed.diagnostics;
    assert.ok(parsed.document, JSON.stringify(parsed.diagnostics, null, 1));
    const ajv = new Ajv({ strict: false, allErrors: true });
    formats.default(ajv);
    messages[version] = parsed.document.allMessages().all().map((message) => {
      const schema = message.payload().json();
      return {
        name: message.id(),
        type: schema.properties.type.const,
        fields: new Set(Object.keys(schema.properties)),
        fits: ajv.compile(schema),
        examples: message.examples().all().map((example) => example.payload()),
      };
    });
  }
  return { messages, diagnostics };
}

/** The one of these messages that `frame` is; says why when it is none. @param {Message[]} known */
export function messageOf(known, frame) {
  const candidates = known.filter(({ type }) => type === frame.type);
  const found = candidates.find(({ fits }) => fits(frame));
  const why = candidates.map(({ name, fits }) => `${name}: ${JSON.stringify(fits.errors)}`).join("\n");
  assert.ok(found, `${JSON.stringify(frame)} is no message of the document\n${why}`);
  return found;
}

/** Each frame is a message with documented fields only; the names of all of them. @param {Message[]} known */
export function documented(known, frames) {
  const names = new Set();
  for (const frame of frames) {
    const { name, fields } = messageOf(known, frame);
    for (const field of Object.keys(frame)) assert.ok(fields.has(field), `${name} has an undocumented field ${field}`);
    names.add(name);
  }
  return names;
}
