// The guides: links lead somewhere, code parses, and the two languages say the same.

import assert from "node:assert/strict";
import { access, readFile, readdir, stat } from "node:fs/promises";
import { test } from "node:test";
import { transform } from "esbuild";

const docs = new URL("../../docs/", import.meta.url);
const read = (path) => readFile(new URL(path, docs), "utf8");
const guides = (await readdir(docs, { recursive: true })).filter((path) => path.endsWith(".md"));

/** The anchor that a heading gets. */
function anchorOf(heading) {
  return heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
}

test("links lead somewhere", async () => {
  for (const path of guides) {
    for (const [, target] of (await read(path)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file, anchor] = target.split("#");
      const address = new URL(file, new URL(path, docs));
      await assert.doesNotReject(access(address), `${path} links to ${target}`);
      if (anchor === undefined) continue;
      const anchors = [...(await readFile(address, "utf8")).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading));
      assert.ok(anchors.includes(anchor), `${path} links to ${target}`);
    }
  }
});

test("JavaScript in the guides parses", async () => {
  for (const path of guides) {
    for (const [, code] of (await read(path)).matchAll(/```jsx?\n([\s\S]*?)```/g)) {
      await transform(code, { loader: "jsx", format: "esm" });
    }
  }
});

test("the Spanish guides say what the English ones say", async () => {
  const shape = (text) => ({
    headings: [...text.matchAll(/^(#+) /gm)].map(([, marks]) => marks.length),
    messages: [...text.matchAll(/^\{.*\}$/gm)].map(([line]) => line.replaceAll("sala-1", "hall-1")),
    rows: [...text.matchAll(/^\|/gm)].length,
    code: [...text.matchAll(/^```(\w*)$/gm)].map(([, language]) => language),
  });
  for (const [spanish, english] of [["es/GUIA_WEBSOCKET.md", "WEBSOCKET_GUIDE.md"], ["es/CARRITOS.md", "CARTS.md"]]) {
    assert.deepEqual(shape(await read(spanish)), shape(await read(english)), spanish);
  }
});

test("the pictures are small", async () => {
  for (const picture of (await readdir(docs)).filter((path) => path.endsWith(".png"))) {
    const { size } = await stat(new URL(picture, docs));
    assert.ok(size < 300_000, `${picture}: ${size} bytes`);
  }
});
