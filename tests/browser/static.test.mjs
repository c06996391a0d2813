// What is committed under static/ fits together: the bundle is fresh, the types hold, nothing is inline.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { bundle } from "../../scripts/bundle_page.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const read = (path) => readFile(new URL(`../../${path}`, import.meta.url), "utf8");

test("the bundle is what its sources make", async () => {
  assert.equal(await read("static/butaca-page.js"), await bundle(), "run: node scripts/bundle_page.mjs");
});

test("the types in the comments hold", () => {
  execFileSync(process.execPath, [`${here}node_modules/typescript/bin/tsc`, "-p", here], { stdio: "inherit" });
});

test("the page has nothing inline and nothing from elsewhere", async () => {
  const html = await read("static/websocket_client.html");
  assert.doesNotMatch(html, /<style|style=|\son\w+=|<script(?![^>]*\ssrc=)/);
  for (const [, address] of html.matchAll(/(?:src|href)="([^"]*)"/g)) assert.match(address, /^\.\.\/static\/butaca[\w.-]*$/);
});
