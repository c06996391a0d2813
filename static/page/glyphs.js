/**
 * The shapes of a seat, one for each state, so that nothing is told by colour alone.
 *
 * Invariant: every shape is one path around (0, 0), at most 20 units wide; holes in it are cut by the even-odd rule.
 * Never here: colours, which are the style sheet's.
 */

/** @typedef {"free" | "pending" | "mine" | "other" | "checkout" | "booked" | "blocked" | "refused"} SeatLook */

const CIRCLE = "M0-9.5A9.5 9.5 0 1 1 0 9.5A9.5 9.5 0 1 1 0-9.5Z";

/** The shapes are drawn for seats this far apart. */
export const GLYPH_PITCH = 24;

/** @type {Record<SeatLook, string>} */
export const GLYPHS = {
  // An armchair from above, its back away from the stage: cushion, then arms and back.
  free: "M-5-8.5H5Q6-8.5 6-7.5V3.5H-6V-7.5Q-6-8.5-5-8.5ZM-9-4.5H-7.2V4.7H7.2V-4.5H9V5.5Q9 9 5.5 9H-5.5Q-9 9-9 5.5Z",
  // A ring with a dot: on its way.
  pending: `${CIRCLE}M0-6.8A6.8 6.8 0 1 0 0 6.8A6.8 6.8 0 1 0 0-6.8ZM0-3A3 3 0 1 1 0 3A3 3 0 1 1 0-3Z`,
  // A disc with a check mark cut out.
  mine: `${CIRCLE}M-5.6 .3L-1.6 4.4L5.6-3.2L3.8-5L-1.6 .8L-3.8-1.5Z`,
  // A square with a cross cut out.
  other: "M-6-8H6Q8-8 8-6V6Q8 8 6 8H-6Q-8 8-8 6V-6Q-8-8-6-8ZM-4.2-2.9L-1.3 0L-4.2 2.9L-2.9 4.2L0 1.3L2.9 4.2L4.2 2.9L1.3 0L4.2-2.9L2.9-4.2L0-1.3L-2.9-4.2Z",
  // A disc with a clock's hands cut out: one's own, and being paid.
  checkout: `${CIRCLE}M-.9-6.5H.9V-.6L4.8 2.2L3.8 3.7L-.9 .6Z`,
  // A square with a dot cut out: sold.
  booked: "M-6-8H6Q8-8 8-6V6Q8 8 6 8H-6Q-8 8-8 6V-6Q-8-8-6-8ZM0-2.6A2.6 2.6 0 1 0 0 2.6A2.6 2.6 0 1 0 0-2.6Z",
  // A bar: not for sale.
  blocked: "M-8-2.4H8V2.4H-8Z",
  // A diamond with an exclamation mark cut out.
  refused: "M0-10.5L10.5 0L0 10.5L-10.5 0ZM-1.3-6H1.3L.9 1.2H-.9ZM-1.2 3H1.2V5.4H-1.2Z",
};

/** All looks, in an order. */
export const LOOKS = /** @type {SeatLook[]} */ (Object.keys(GLYPHS));

/** A free place for a wheelchair: a person above a wheel. */
export const ACCESSIBLE =
  "M-1.9-7.6A1.9 1.9 0 1 1 1.9-7.6A1.9 1.9 0 1 1-1.9-7.6ZM-1.2-5.2H1.2V-2.6H-1.2Z" +
  "M0-2.3A5.9 5.9 0 1 1 0 9.5A5.9 5.9 0 1 1 0-2.3ZM0-.3A3.9 3.9 0 1 0 0 7.5A3.9 3.9 0 1 0 0-.3Z";

/** @param {SeatLook} look @param {{ accessible?: boolean }} seat */
export function glyphOf(look, { accessible }) {
  return look === "free" && accessible ? ACCESSIBLE : GLYPHS[look];
}
