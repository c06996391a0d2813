// What is committed under static/ fits together: the bundle is fresh, the types hold, nothing is inline.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { bundle } from "../../scripts/bundle_page.mjs";
import { LANGUAGES } from "../../static/page/text.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const read = (path) => readFile(new URL(`../../${path}`, import.meta.url), "utf8");

test("the bundle is what its sources make", async () => {
  assert.equal(await read("static/butaca-page.js"), await bundle(), "run: node scripts/bundle_page.mjs");
});

test("the types in the comments hold", () => {
  execFileSync(process.execPath, [`${here}node_modules/typescript/bin/tsc`, "-p", here], { stdio: "inherit" });
});

test("the page has words for every refusal that people can meet", async () => {
  const codes = [...(await read("src/wire/code.rs")).matchAll(/\(Code::\w+, "(\w+)", "/g)].map(([, code]) => code);
  assert.ok(codes.length > 20, codes.join());
  // Those are for who writes the client.
  const technical = ["bad_json", "bad_request", "unknown_type", "session_unknown"];
  for (const code of codes.filter((code) => !technical.includes(code))) {
    for (const [language, texts] of Object.entries(LANGUAGES)) assert.ok(texts[`why_${code}`], `${code} in ${language}`);
  }
});

test("the page has nothing inline and nothing from elsewhere", async () => {
  const html = await read("static/websocket_client.html");
  assert.doesNotMatch(html, /<style|style=|\son\w+=|<script(?![^>]*\ssrc=)/);
  for (const [, address] of html.matchAll(/(?:src|href)="([^"]*)"/g)) assert.match(address, /^\.\.\/static\/butaca[\w.-]*$/);
});
