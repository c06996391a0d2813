/**
 * A layout of the server's as a plan that can be drawn.
 *
 * Invariants: the seats of the plan are those of the layout, in its order; rows are its pairs of section and row.
 * Never here: states, colours, the protocol.
 *
 * @import { Plan, PlanLabel, PlanSeat, PlanShape } from "./layouts.js"
 */

/** Where a layout says nothing of places, seats stand in rows so far apart. */
const PITCH = 24;
const ROW_DEPTH = 30;
const MARGIN_PITCHES = 1.5;

/** @param {any} layout  As the server gives it. @returns {Plan} */
export function hall(layout) {
  /** @type {Map<string, PlanSeat[]>} */ const rows = new Map();
  const seats = layout.seats.map((/** @type {any} */ each) => {
    const key = JSON.stringify([each.section, each.row]);
    let row = rows.get(key);
    if (!row) rows.set(key, (row = []));
    const place = { x: numberOr(each.x, row.length * PITCH), y: numberOr(each.y, (rows.size - 1) * ROW_DEPTH) };
    const seat = {
      id: String(each.id), block: String(each.section ?? ""), row: String(each.row ?? ""), number: each.number ?? row.length + 1,
      ...place, angle: 0, ...(each.accessible === true && { accessible: true }),
    };
    row.push(seat);
    return seat;
  });
  const lists = [...rows.values()];
  const pitch = pitchOf(lists);
  const labels = [...lists.map((row) => rowLabel(row, pitch)), ...sectionLabels(seats, pitch)];
  const shapes = (Array.isArray(layout.shapes) ? layout.shapes : []).flatMap(shapeOf);
  return { name: "hall", seats, rows: lists, labels, shapes, pitch, box: boxOf(seats, shapes, pitch) };
}

/** The usual distance of neighbours. @param {PlanSeat[][]} rows */
function pitchOf(rows) {
  const apart = rows.flatMap((row) => row.slice(1).map((seat, at) => Math.hypot(seat.x - row[at].x, seat.y - row[at].y)));
  apart.sort((a, b) => a - b);
  return apart[apart.length >> 1] || PITCH;
}

/** @param {PlanSeat[]} row @param {number} pitch @returns {PlanLabel} */
function rowLabel([first, second], pitch) {
  const [dx, dy] = second ? [first.x - second.x, first.y - second.y] : [-pitch, 0];
  const apart = Math.hypot(dx, dy) || 1;
  return { x: first.x + (dx / apart) * pitch, y: first.y + (dy / apart) * pitch, text: first.row, kind: "row" };
}

/** @param {PlanSeat[]} seats @param {number} pitch @returns {PlanLabel[]} */
function sectionLabels(seats, pitch) {
  /** @type {Map<string, { x: number, top: number, count: number }>} */ const sections = new Map();
  for (const { block, x, y } of seats) {
    const section = sections.get(block) ?? { x: 0, top: y, count: 0 };
    sections.set(block, { x: section.x + x, top: Math.min(section.top, y), count: section.count + 1 });
  }
  if (sections.size < 2) return [];
  return [...sections].map(([text, { x, top, count }]) => ({ x: x / count, y: top - pitch, text, kind: "block" }));
}

/** @param {any} shape @returns {PlanShape[]} */
function shapeOf({ type, points, label }) {
  const corners = (Array.isArray(points) ? points : [])
    .map((/** @type {any} */ point) => (Array.isArray(point) ? { x: point[0], y: point[1] } : point))
    .filter((/** @type {any} */ point) => Number.isFinite(point?.x) && Number.isFinite(point?.y));
  if (corners.length < 3) return [];
  const [x, y] = ["x", "y"].map((axis) => corners.reduce((/** @type {number} */ sum, /** @type {any} */ point) => sum + point[axis], 0) / corners.length);
  const d = `M${corners.map((/** @type {any} */ point) => `${point.x} ${point.y}`).join("L")}Z`;
  // A stage without a name is called one, in the language of the page.
  return [{ d, x, y, label: typeof label === "string" ? label : type === "stage" ? undefined : "" }];
}

/** @param {PlanSeat[]} seats @param {PlanShape[]} shapes @param {number} pitch */
function boxOf(seats, shapes, pitch) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  const corners = shapes.flatMap(({ d }) => [...d.matchAll(/[ML](\S+) ([^LZ]+)/g)].map(([, x, y]) => ({ x: Number(x), y: Number(y) })));
  for (const list of [seats, corners]) {
    for (const { x, y } of list) {
      [left, right] = [Math.min(left, x), Math.max(right, x)];
      [top, bottom] = [Math.min(top, y), Math.max(bottom, y)];
    }
  }
  const margin = pitch * MARGIN_PITCHES;
  return { x: left - margin, y: top - margin, width: right - left + 2 * margin, height: bottom - top + 2 * margin };
}

/** @param {unknown} value @param {number} otherwise */
function numberOr(value, otherwise) {
  return typeof value === "number" && Number.isFinite(value) ? value : otherwise;
}
