/**
 * The two demonstration plans: a theatre with curved rows, and an arena of exactly 2,000 seats.
 *
 * Owns: geometry and seat ids. Pure: no DOM, no protocol.
 * Invariants: seat ids are unique in a plan; `rows` covers `seats` in order; no two seats overlap.
 * Never here: colours, states, texts for people (the view names things by `block`, `row` and `number`).
 *
 * @typedef {{ id: string, block: string, row: string, number: number | string, x: number, y: number, angle: number,
 *   accessible?: boolean }} PlanSeat
 *   `angle` in degrees: 0 looks up, towards a stage at the top.
 * @typedef {{ x: number, y: number, text: string, kind: "row" | "block", centre?: { x: number, y: number } }} PlanLabel
 *   `centre`: where a name stands while its seats are too small to be told apart.
 * @typedef {{ d: string, x: number, y: number, label?: string }} PlanShape  A path, and where its name stands; without a
 *   label it is the stage.
 * @typedef {{ name: string, seats: PlanSeat[], rows: PlanSeat[][], labels: PlanLabel[], shapes: PlanShape[],
 *   pitch: number, box: { x: number, y: number, width: number, height: number } }} Plan
 */

const THEATRE_PITCH = 24;
const THEATRE_ROW_DEPTH = 30;
const THEATRE_FIRST_RADIUS = 520;
const THEATRE_AISLE = 34;
/** Seats per row: left, centre and right block. Stalls, then the circle behind a gangway. */
const THEATRE_ROWS = [
  ..."ABCDEFGHJKLMNP".split("").map((row, index) => ({ row, sides: 6 + Math.floor(index / 4), centre: 12 + (index % 2), gap: 0 })),
  ..."QRST".split("").map((row, index) => ({ row, sides: 11, centre: 13 + (index % 2), gap: 46 })),
];

const ARENA_PITCH = 16;
const ARENA_ROW_DEPTH = 21;
/** The first row of the bowl. With these axes the bowl has room for exactly 1,280 seats; a test counts them. */
const ARENA_AXES = { x: 585, y: 357 };
const ARENA_BLOCKS = 16;
const ARENA_BLOCK_ROWS = 8;
/** What a row of a block leaves free for the aisle. */
const ARENA_AISLE = 14;
/** The part of the oval left open for the stage, as angles of the oval's parameter (0 is the top). */
const ARENA_OPEN = 0.42;
const FLOOR_BLOCKS_ACROSS = 4;
const FLOOR_BLOCKS_DEEP = 2;
const FLOOR_BLOCK = { rows: 9, seats: 10 };

/** @type {Record<string, () => Plan>} */
export const PLANS = { theatre, arena };

/** A theatre: 18 curved rows in three blocks. @returns {Plan} */
export function theatre() {
  /** @type {PlanSeat[][]} */ const rows = [];
  /** @type {PlanLabel[]} */ const labels = [];
  THEATRE_ROWS.forEach(({ row, sides, centre, gap }, index) => {
    const radius = THEATRE_FIRST_RADIUS + index * THEATRE_ROW_DEPTH + gap;
    const width = (sides * 2 + centre) * THEATRE_PITCH + 2 * THEATRE_AISLE;
    let along = -width / 2 + THEATRE_PITCH / 2;
    /** @type {PlanSeat[]} */ const seats = [];
    for (let number = 1; number <= sides * 2 + centre; number += 1) {
      if (number === sides + 1 || number === sides + centre + 1) along += THEATRE_AISLE;
      const block = number <= sides ? "left" : number <= sides + centre ? "centre" : "right";
      seats.push({ id: `${row}${number}`, block, row, number, ...onArc(radius, along) });
      along += THEATRE_PITCH;
    }
    rows.push(seats);
    for (const side of [-1, 1]) {
      const { x, y } = onArc(radius, side * (width / 2 + 16));
      labels.push({ x, y, text: row, kind: "row" });
    }
  });
  const edge = THEATRE_FIRST_RADIUS - 58;
  const [left, right] = [onArc(edge, -190), onArc(edge, 190)];
  const stage = `M${left.x} ${left.y}A${edge} ${edge} 0 0 0 ${right.x} ${right.y}L150 392L-150 392Z`;
  return plan("theatre", rows, labels, stage, { x: 0, y: 432 }, THEATRE_PITCH);
}

/** A point of a row that bends around a stage at the top. @param {number} radius @param {number} along */
function onArc(radius, along) {
  const turn = along / radius;
  return { x: radius * Math.sin(turn), y: radius * Math.cos(turn), angle: (-turn * 180) / Math.PI };
}

/** An arena: eight blocks on the floor, a bowl of sixteen around them. @returns {Plan} */
export function arena() {
  /** @type {PlanLabel[]} */ const labels = [];
  const rows = [...floor(labels), ...bowl(labels)];
  const stage = "M-215 -318Q0 -345 215 -318L185 -222Q0 -205 -185 -222Z";
  return plan("arena", rows, labels, stage, { x: 0, y: -272 }, ARENA_PITCH);
}

/** @param {PlanLabel[]} labels */
function floor(labels) {
  /** @type {PlanSeat[][]} */ const rows = [];
  const across = FLOOR_BLOCK.seats * ARENA_PITCH + 26;
  const deep = FLOOR_BLOCK.rows * ARENA_ROW_DEPTH + 34;
  for (let index = 0; index < FLOOR_BLOCKS_ACROSS * FLOOR_BLOCKS_DEEP; index += 1) {
    const block = `F${index + 1}`;
    const left = ((index % FLOOR_BLOCKS_ACROSS) - FLOOR_BLOCKS_ACROSS / 2) * across + 13 + ARENA_PITCH / 2;
    const top = -150 + Math.floor(index / FLOOR_BLOCKS_ACROSS) * deep;
    labels.push({ x: left + (across - 26 - ARENA_PITCH) / 2, y: top - 17, text: block, kind: "block" });
    for (let line = 0; line < FLOOR_BLOCK.rows; line += 1) {
      rows.push(
        Array.from({ length: FLOOR_BLOCK.seats }, (_, seat) => {
          const place = { x: left + seat * ARENA_PITCH, y: top + line * ARENA_ROW_DEPTH, angle: 0 };
          return arenaSeat(block, line, seat, place);
        }),
      );
    }
  }
  return rows;
}

/** @param {PlanLabel[]} labels */
function bowl(labels) {
  const rings = Array.from({ length: ARENA_BLOCK_ROWS }, (_, line) => oval(line * ARENA_ROW_DEPTH));
  // Aisles are radial: the blocks' edges are fixed on the first ring, and every other ring keeps their parameters.
  const edges = Array.from({ length: ARENA_BLOCKS + 1 }, (_, index) => rings[0].parameterAt(index / ARENA_BLOCKS));
  /** @type {PlanSeat[][]} */ const rows = [];
  for (let index = 0; index < ARENA_BLOCKS; index += 1) {
    const block = String(101 + index);
    rings.forEach((ring, line) => {
      const [from, to] = [ring.lengthAt(edges[index]), ring.lengthAt(edges[index + 1])];
      const [middle, count] = [(from + to) / 2, Math.floor((to - from - ARENA_AISLE) / ARENA_PITCH)];
      rows.push(
        Array.from({ length: count }, (_, seat) => {
          // The oval runs counter-clockwise from the stage; numbers run left to right as seen from the seats.
          const length = middle + (seat - (count - 1) / 2) * ARENA_PITCH;
          return arenaSeat(block, line, seat, ring.place(length));
        }),
      );
    });
    const sign = oval(ARENA_BLOCK_ROWS * ARENA_ROW_DEPTH + 6);
    const { x, y } = sign.place((sign.lengthAt(edges[index]) + sign.lengthAt(edges[index + 1])) / 2);
    labels.push({ x, y, text: block, kind: "block" });
  }
  return rows;
}

/** @param {string} block @param {number} line @param {number} seat @param {{ x: number, y: number, angle: number }} place */
function arenaSeat(block, line, seat, place) {
  const row = "ABCDEFGHI"[line];
  return { id: `${block}-${row}${seat + 1}`, block, row, number: seat + 1, ...place };
}

/** A ring of the bowl with its arc length tabulated, `out` beyond the first one. @param {number} out */
function oval(out) {
  const [a, b] = [ARENA_AXES.x + out, ARENA_AXES.y + out];
  const steps = 1_000;
  /** @param {number} t */
  const point = (t) => ({ x: -a * Math.sin(t), y: -b * Math.cos(t) });
  const from = ARENA_OPEN;
  const span = 2 * Math.PI - 2 * ARENA_OPEN;
  const lengths = [0];
  for (let step = 1; step <= steps; step += 1) {
    const [p, q] = [point(from + (span * (step - 1)) / steps), point(from + (span * step) / steps)];
    lengths.push(lengths[step - 1] + Math.hypot(q.x - p.x, q.y - p.y));
  }
  /** @param {number} length */
  const parameter = (length) => {
    const step = lengths.findIndex((sum) => sum >= length);
    if (step < 1) return step < 0 ? from + span : from;
    const part = (length - lengths[step - 1]) / (lengths[step] - lengths[step - 1]);
    return from + (span * (step - 1 + part)) / steps;
  };
  return {
    /** @param {number} fraction */
    parameterAt: (fraction) => parameter(fraction * lengths[steps]),
    /** @param {number} t */
    lengthAt: (t) => lengths[Math.round(((t - from) / span) * steps)],
    /** @param {number} length */
    place: (length) => {
      const t = parameter(length);
      const { x, y } = point(t);
      // The inward normal of the oval.
      return { x, y, angle: (Math.atan2(x / (a * a), -y / (b * b)) * 180) / Math.PI + 180 };
    },
  };
}

/**
 * @param {string} name @param {PlanSeat[][]} rows @param {PlanLabel[]} labels @param {string} stage
 * @param {{ x: number, y: number }} stageAt @param {number} pitch @returns {Plan}
 */
function plan(name, rows, labels, stage, stageAt, pitch) {
  const seats = rows.flat();
  const points = [...seats, ...labels, { x: stageAt.x, y: stageAt.y - 45 }];
  const [xs, ys] = [points.map((point) => point.x), points.map((point) => point.y)];
  const margin = 26;
  const [x, y] = [Math.min(...xs) - margin, Math.min(...ys) - margin];
  const box = { x, y, width: Math.max(...xs) + margin - x, height: Math.max(...ys) + margin - y };
  return { name, seats, rows, labels, shapes: [{ d: stage, ...stageAt }], pitch, box };
}
