// The plans: seats that can be told apart, do not overlap, and are all within reach of the arrow keys.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GLYPHS } from "../../static/page/glyphs.js";
import { hall } from "../../static/page/hall.js";
import { PLANS } from "../../static/page/layouts.js";
import { neighbour } from "../../static/page/planview.js";
import { LANGUAGES } from "../../static/page/text.js";
import { stadium } from "./lib/live.mjs";
import { smallLayout } from "./lib/scripted_v2.mjs";

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

describe("a layout of the server's", () => {
  const layouts = [stadium(4, 6, 10), stadium(100, 20, 25), smallLayout(5)];

  test("is drawn with all of its seats, in its order, inside the picture", () => {
    for (const layout of layouts) {
      const plan = hall(layout);
      assert.deepEqual(plan.seats.map(({ id }) => id), layout.seats.map(({ id }) => id));
      assert.deepEqual(plan.rows.flat(), plan.seats);
      const { x, y, width, height } = plan.box;
      for (const seat of plan.seats) assert.ok(seat.x > x && seat.x < x + width && seat.y > y && seat.y < y + height, seat.id);
      assert.equal(plan.seats.filter(({ accessible }) => accessible).length, layout.seats.filter(({ accessible }) => accessible).length);
      assert.ok(new Set(plan.seats.map((seat) => `${seat.x} ${seat.y}`)).size === plan.seats.length, "each has its place");
    }
    assert.equal(hall(layouts[1]).rows.length, 2000);
    assert.equal(hall(layouts[0]).pitch, 20);
  });

  test("has the names of its sections above them, and in their middle from afar; one section needs none", () => {
    const names = hall(layouts[0]).labels.filter(({ kind }) => kind === "block");
    assert.deepEqual(names.map(({ text }) => text), ["1", "2", "3", "4"]);
    for (const { y, centre } of names) assert.ok(centre.y > y);
    assert.deepEqual([hall(layouts[2]).labels.filter(({ kind }) => kind === "block"), hall(layouts[2]).seats[0].block], [[], ""]);
  });

  test("is walked from seat to seat with the arrow keys", () => {
    const plan = hall(layouts[0]);
    const reached = new Set([plan.seats[0]]);
    for (const seat of reached) for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) reached.add(neighbour(plan, seat, dx, dy));
    assert.equal(reached.size, plan.seats.length);
  });

  test("has shapes with their names, and nothing where there is nothing to draw", () => {
    const points = [{ x: 0, y: 0 }, { x: 9, y: 0 }, { x: 9, y: 6 }];
    const shapes = [{ type: "stage", points }, { type: "wall", points, label: "Bar" }, { type: "wall", points }, { type: "wall", points: [{ x: 1 }] }, {}];
    const drawn = hall({ ...smallLayout(3), shapes }).shapes;
    assert.deepEqual(drawn.map(({ label }) => label), [undefined, "Bar", ""]);
    const [line] = hall({ ...smallLayout(3), shapes: [{ type: "line", label: "Screen", points: [{ x: 0, y: 5 }, { x: 9, y: 5 }] }] }).shapes;
    assert.deepEqual([line.x, line.y, line.d.split("L").length], [4.5, 5, 4], "a line has a body");
    assert.deepEqual([drawn[0].d, drawn[0].x, drawn[0].y], ["M0 0L9 0L9 6Z", 6, 2]);
  });
});

test("each state has its own shape", () => {
  assert.equal(new Set(Object.values(GLYPHS)).size, Object.keys(GLYPHS).length);
});

test("both languages say the same things", () => {
  const [en, es] = [LANGUAGES.en, LANGUAGES.es];
  assert.deepEqual(Object.keys(es), Object.keys(en));
  const holes = (text) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  for (const key of Object.keys(en)) assert.deepEqual(holes(es[key]), holes(en[key]), key);
});
