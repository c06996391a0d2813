// The plans: seats that can be told apart, do not overlap, and are all within reach of the arrow keys.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GLYPHS } from "../../static/page/glyphs.js";
import { PLANS } from "../../static/page/layouts.js";
import { neighbour } from "../../static/page/planview.js";
import { LANGUAGES } from "../../static/page/text.js";

for (const [name, make] of Object.entries(PLANS)) {
  describe(name, () => {
    const plan = make();

    test("names each seat once", () => {
      assert.equal(new Set(plan.seats.map(({ id }) => id)).size, plan.seats.length);
      assert.deepEqual(plan.rows.flat(), plan.seats);
      if (name === "arena") assert.equal(plan.seats.length, 2000);
    });

    test("keeps seats apart and inside the picture", () => {
      const { x, y, width, height } = plan.box;
      for (const [index, seat] of plan.seats.entries()) {
        assert.ok(seat.x > x && seat.x < x + width && seat.y > y && seat.y < y + height, seat.id);
        for (const other of plan.seats.slice(index + 1)) {
          const apart = Math.hypot(seat.x - other.x, seat.y - other.y);
          assert.ok(apart > plan.pitch * 0.99, `${seat.id} and ${other.id} are ${apart} apart`);
        }
      }
    });

    test("can be walked to every seat with the arrow keys", () => {
      const reached = new Set([plan.seats[0]]);
      for (const seat of reached) {
        for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) reached.add(neighbour(plan, seat, dx, dy));
      }
      const missing = plan.seats.filter((seat) => !reached.has(seat)).map(({ id }) => id);
      assert.deepEqual(missing, []);
    });
  });
}

test("each state has its own shape", () => {
  assert.equal(new Set(Object.values(GLYPHS)).size, Object.keys(GLYPHS).length);
});

test("both languages say the same things", () => {
  const [en, es] = [LANGUAGES.en, LANGUAGES.es];
  assert.deepEqual(Object.keys(es), Object.keys(en));
  const holes = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  for (const key of Object.keys(en)) assert.deepEqual(holes(es[key]), holes(en[key]), key);
});
