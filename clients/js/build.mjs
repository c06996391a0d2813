// Fills lib/ with the module that the server serves (static/butaca-client.js and what it imports) and its types.
//
// The module has one source, static/; this folder only publishes it. Run by `npm pack`. Needs TypeScript for the types: this
// folder's own, or that of tests/browser.

import { execFileSync } from "node:child_process";
import { copyFile, mkdir, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const source = join(here, "../../static");
const lib = join(here, "lib");

/** The file and all that it imports. */
async function closure(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  const text = await readFile(join(source, name), "utf8");
  for (const [, imported] of text.matchAll(/^(?:import|export) [^"]*?from "\.\/([\w.-]+)"/gms)) await closure(imported, found);
  return found;
}

function compiler() {
  for (const home of [here, join(here, "../../tests/browser/")]) {
    try {
      return join(dirname(createRequire(home).resolve("typescript/package.json")), "bin/tsc");
    } catch {
      // The next place.
    }
  }
  throw new Error("TypeScript is missing: npm ci in tests/browser, or npm install typescript here");
}

await rm(lib, { recursive: true, force: true });
await mkdir(lib);
const files = [...(await closure("butaca-client.js"))];
for (const name of files) await copyFile(join(source, name), join(lib, name));
const options = "--allowJs --checkJs --declaration --emitDeclarationOnly --strict --target es2022 --module esnext --moduleResolution bundler";
const types = ["--lib", "es2023,dom,dom.iterable", "--types", "", "--outDir", lib];
execFileSync(process.execPath, [compiler(), ...options.split(" "), ...types, ...files.map((name) => join(lib, name))], { stdio: "inherit" });
