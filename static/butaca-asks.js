/**
 * What may be asked of a cart in v2, as requests: what cannot be right is refused here.
 *
 * Invariant: pure; a request that comes out of here is one that the server can read.
 * Never here: ids of requests, the connection.
 *
 * @import { BestQuery } from "./butaca-client.js"
 * @import { Frame } from "./butaca-room.js"
 * @import { Refusal } from "./butaca-protocol.js"
 * @typedef {{ frame: Frame, seats: string[], problem?: Refusal }} Ask  `seats`: those that show as asked for.
 */

import { ID_RULE, isValidId, refusal, SEATS_MAX } from "./butaca-protocol.js";

/**
 * @param {string} roomId @param {string | string[]} seats @param {Record<string, unknown>} userInfo
 * @param {string[]} [release] @returns {Ask}
 */
export function selectSeats(roomId, seats, userInfo, release) {
  const wanted = [seats].flat();
  const frame = { type: "select_seats", room_id: roomId, seats: wanted, release, user_info: userInfo };
  return { frame, seats: wanted, problem: problemOf(wanted, release ?? []) };
}

/** @param {string} roomId @param {number | BestQuery} query @param {Record<string, unknown>} userInfo @returns {Ask} */
export function selectBest(roomId, query, userInfo) {
  const { quantity, ...filters } = typeof query === "number" ? { quantity: query } : query;
  const isOne = Number.isSafeInteger(quantity) && quantity >= 1 && quantity <= SEATS_MAX;
  const problem = isOne ? undefined : refusal("bad_request", `quantity: 1 to ${SEATS_MAX}`);
  return { frame: { type: "select_best", room_id: roomId, quantity, ...filters, user_info: userInfo }, seats: [], problem };
}

/** @param {string} roomId @param {string | string[]} seats @returns {Ask} */
export function releaseSeats(roomId, seats) {
  const given = [seats].flat();
  return { frame: { type: "release_seats", room_id: roomId, seats: given }, seats: given, problem: problemOf(given, []) };
}

/** @param {string[]} seats @param {string[]} release */
function problemOf(seats, release) {
  const all = [...seats, ...release];
  if (seats.length < 1 || seats.length > SEATS_MAX || release.length > SEATS_MAX) return refusal("bad_request", `1 to ${SEATS_MAX} seats`);
  if (!all.every(isValidId)) return refusal("bad_request", ID_RULE);
  return new Set(all).size < all.length ? refusal("bad_request", "a seat is named twice") : undefined;
}
