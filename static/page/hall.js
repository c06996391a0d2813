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
const MARGIN_PITCHES = 2;
/** A line (a screen, a wall) is drawn so thick, in pitches. */
const LINE_PITCHES = 1.2;
/** The name of a section stands above its seats within so many pitches of its middle: rows may be curved. */
const NAME_PITCHES = 4;

/** @param {any} layout  As the server gives it. @returns {Plan} */
export function hall(layout) {
  /** @type {Map<string, PlanSeat[]>} */ const rows = new Map();
  // In a hall of one section its name tells nothing.
  const isOne = new Set(layout.seats.map((/** @type {any} */ each) => each.section)).size < 2;
  const seats = layout.seats.map((/** @type {any} */ each) => {
    const key = JSON.stringify([each.section, each.row]);
    let row = rows.get(key);
    if (!row) rows.set(key, (row = []));
    const place = { x: numberOr(each.x, row.length * PITCH), y: numberOr(each.y, (rows.size - 1) * ROW_DEPTH) };
    const seat = {
      id: String(each.id), block: isOne ? "" : String(each.section ?? ""), row: String(each.row ?? ""), number: each.number ?? row.length + 1,
      ...place, angle: 0, ...(each.accessible === true && { accessible: true }),
    };
    row.push(seat);
    return seat;
  });
  const lists = [...rows.values()];
  const pitch = pitchOf(lists);
  const labels = [...lists.map((row) => rowLabel(row, pitch)), ...sectionLabels(seats, pitch)];
  const shapes = (Array.isArray(layout.shapes) ? layout.shapes : []).flatMap((/** @type {any} */ shape) => shapeOf(shape, pitch));
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
  /** @type {Map<string, PlanSeat[]>} */ const sections = new Map();
  for (const seat of seats) {
    const section = sections.get(seat.block);
    if (section) section.push(seat);
    else sections.set(seat.block, [seat]);
  }
  if (sections.size < 2) return [];
  return [...sections].map(([text, own]) => {
    const [x, y] = [middle(own, "x"), middle(own, "y")];
    const near = own.filter((seat) => Math.abs(seat.x - x) <= NAME_PITCHES * pitch);
    const top = (near.length > 0 ? near : own).reduce((least, seat) => Math.min(least, seat.y), Infinity);
    return { x, y: top - pitch, text, kind: "block", centre: { x, y } };
  });
}

/** @param {{ x: number, y: number }[]} points @param {"x" | "y"} axis */
function middle(points, axis) {
  return points.reduce((sum, point) => sum + point[axis], 0) / points.length;
}

/** @param {any} shape @param {number} pitch @returns {PlanShape[]} */
function shapeOf({ type, points, label }, pitch) {
  let corners = (Array.isArray(points) ? points : [])
    .map((/** @type {any} */ point) => (Array.isArray(point) ? { x: point[0], y: point[1] } : point))
    .filter((/** @type {any} */ point) => Number.isFinite(point?.x) && Number.isFinite(point?.y));
  if (corners.length === 2) corners = bar(corners[0], corners[1], (pitch * LINE_PITCHES) / 2);
  if (corners.length < 3) return [];
  const [x, y] = [middle(corners, "x"), middle(corners, "y")];
  const d = `M${corners.map((/** @type {any} */ point) => `${point.x} ${point.y}`).join("L")}Z`;
  // A stage without a name is called one, in the language of the page.
  return [{ d, x, y, label: typeof label === "string" ? label : type === "stage" ? undefined : "" }];
}

/** A line with a body. @param {{ x: number, y: number }} from @param {{ x: number, y: number }} to @param {number} half */
function bar(from, to, half) {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const [dx, dy] = [(-(to.y - from.y) / length) * half, ((to.x - from.x) / length) * half];
  const at = (/** @type {{ x: number, y: number }} */ end, /** @type {number} */ side) => ({ x: end.x + side * dx, y: end.y + side * dy });
  return [at(from, 1), at(to, 1), at(to, -1), at(from, -1)];
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
