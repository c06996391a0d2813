// How long frames of the page take while a hall sells: as it is, and with an element a seat (as if the canvas were not there).
//
// Run: node tests/browser/frames.mjs [ROUNDS]   Needs Chromium and nothing else; `perf/notes/page_frames.md` is its output.

import { launch, Visitor } from "./lib/browser.mjs";
import { LiveServer, stadium } from "./lib/live.mjs";

const ROUNDS = Number(process.argv[2] ?? 3);
const CHANGES_A_SECOND = 100;
const HALLS = { "18,000": stadium(60, 15, 20), "50,000": stadium(100, 20, 25) };
const WAYS = { canvas: undefined, "an element a seat": "ELEMENTS_MAX = 1e9" };

/** In the page: runs `act` before each frame, and tells how long frames and tasks took. */
function watch([ms, act]) {
  return new Promise((resolve) => {
    const map = document.querySelector("#map");
    const acts = { rest: () => {}, pan: (at) => (map.scrollLeft += at % 120 < 60 ? 12 : -12) };
    const [gaps, long] = [[], []];
    const observer = new PerformanceObserver((list) => long.push(...list.getEntries().map(({ duration }) => duration)));
    observer.observe({ entryTypes: ["longtask"] });
    const from = performance.now();
    let before = from;
    const frame = () => {
      const now = performance.now();
      gaps.push(now - before);
      before = now;
      acts[act](gaps.length);
      if (now - from < ms) return requestAnimationFrame(frame);
      observer.disconnect();
      resolve({ gaps: gaps.slice(1), long });
    };
    requestAnimationFrame(frame);
  });
}

function row(name, runs) {
  const gaps = runs.flatMap((run) => run.gaps).sort((a, b) => a - b);
  const long = runs.flatMap((run) => run.long);
  const part = (fraction) => gaps[Math.min(gaps.length - 1, Math.floor(gaps.length * fraction))].toFixed(1);
  const rate = ((1000 * gaps.length) / gaps.reduce((sum, gap) => sum + gap, 0)).toFixed(1);
  const longest = long.length > 0 ? `${long.length}, the longest ${Math.round(Math.max(...long))} ms` : "0";
  console.log(`| ${name} | ${rate} | ${part(0.5)} | ${part(0.99)} | ${part(1)} | ${longest} |`);
}

const browser = await launch();
console.log("| hall, drawn as, what | frames/s | p50 ms | p99 ms | worst ms | tasks over 50 ms |\n| --- | --- | --- | --- | --- | --- |");
for (const [count, hall] of Object.entries(HALLS)) {
  for (const [way, change] of Object.entries(WAYS)) {
    const runs = { "seats change": [], "seats change, panned": [], "seats change, panned near by": [] };
    for (let round = 0; round < ROUNDS; round += 1) {
      const server = await LiveServer.start({ layouts: { hall } });
      const visitor = await Visitor.open(browser, { viewport: { width: 1280, height: 800 } });
      if (change) {
        await visitor.page.route("**/butaca-page.js", async (route) => {
          const answer = await route.fetch();
          await route.fulfill({ response: answer, body: (await answer.text()).replace(/ELEMENTS_MAX = [\de.]+/, change) });
        });
      }
      await visitor.visit(server, { name: "Ana", protocol: "v2" });
      await visitor.page.locator("#count-free", { hasText: count }).waitFor();
      let at = 0;
      const timer = setInterval(() => {
        for (let left = CHANGES_A_SECOND / 10; left > 0; left -= 1) server.seats.stranger("hall", hall.seats[(at += 7919) % hall.seats.length].id);
      }, 100);
      await visitor.page.waitForFunction(() => document.querySelector("#count-other").textContent !== "0");
      runs["seats change"].push(await visitor.page.evaluate(watch, [3_000, "rest"]));
      await visitor.page.locator("#zoom-in").click();
      runs["seats change, panned"].push(await visitor.page.evaluate(watch, [3_000, "pan"]));
      for (let step = 0; step < 4; step += 1) await visitor.page.locator("#zoom-in").click();
      runs["seats change, panned near by"].push(await visitor.page.evaluate(watch, [3_000, "pan"]));
      clearInterval(timer);
      await visitor.close();
      await server.stop();
    }
    for (const [what, each] of Object.entries(runs)) row(`${count}, ${way}, ${what}`, each);
  }
}
await browser.close();
