/**
 * The rules of the protocol, v1 and v2, that need no state: ids, texts, which answer belongs to which request, when to return.
 *
 * Invariants: no function here throws, whatever it is given; nothing here remembers anything.
 * Never here: sockets, timers, the copy of a room.
 *
 * @import { Frame } from "./butaca-room.js"
 * @typedef {{ ok: true, frame: Frame } | Refusal} Outcome
 * @typedef {{ ok: false, code: string, message: string, retryAfterMs?: number, frame?: Frame }} Refusal  `retryAfterMs`:
 *   with `rate_limited`, how long to wait; `frame` (v2): what the server said, with `conflicts` and the like.
 */

const ID_BYTES_MAX = 128;
export const ID_RULE = "ids: 1 to 128 bytes of well-formed text without control and invisible characters";
/** Requests without an answer. At the bound: `busy`. */
export const IN_FLIGHT_MAX = 1_000;
/** Heartbeats within which a request must be answered, whatever else arrives: an answer may wait behind many events. */
export const ANSWER_BEATS = 3;
/** Seats of one request of v2, and rooms of one `resume`: what the server takes. */
export const SEATS_MAX = 50;
export const RESUME_ROOMS_MAX = 64;
/** What the server takes in a layout. */
export const LAYOUT_SEATS_MAX = 200_000;
/** How long to be silent after a `rate_limited` that does not say it, and at most. */
const PAUSE_MS = 1_000;
export const PAUSE_MS_MAX = 60_000;
/** What a client did wrong it would do again: protocol error, binary message, invalid UTF-8, too long a message. */
const OWN_FAULTS = new Set([1002, 1003, 1007, 1009]);
const TOO_MANY_MESSAGES = 4013;
const SUPERSEDED = 4505;
/** Refusals and accidents after which the same request may succeed a little later. */
const PASSING = new Set(["rate_limited", "overloaded", "persistence_unavailable", "unanswered", "offline", "busy"]);

/**
 * Ids of clients, rooms and seats: well-formed text, 1 to 128 bytes of UTF-8, without control and invisible characters.
 * @param {unknown} text @returns {text is string}
 */
export function isValidId(text) {
  // Half a surrogate pair, as `"🎭".slice(0, 1)` makes it, has no UTF-8.
  if (typeof text !== "string" || /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]|(?![\ufe0e\ufe0f])\p{DI}/u.test(text)) return false;
  const bytes = new TextEncoder().encode(text).length;
  return bytes >= 1 && bytes <= ID_BYTES_MAX;
}

/**
 * Ids of clients: ids that are no names of the server's own, `system` and `holder:…`.
 * @param {unknown} text @returns {text is string}
 */
export function isValidClientId(text) {
  return isValidId(text) && text !== "system" && !text.startsWith("holder:");
}

/**
 * The message as text, and as the server will read it; undefined when JSON cannot hold it (a circle, a BigInt).
 * Half a surrogate pair becomes U+FFFD, as everywhere where text becomes UTF-8.
 * @param {Frame} frame @returns {{ text: string, sent: Frame } | undefined}
 */
export function encode(frame) {
  try {
    // `stringify` escapes halves and nothing else of that range. Each escape is looked at as a whole, `\\` too.
    const whole = (/** @type {string} */ escape) => (/^\\ud[89a-f]/.test(escape) ? "\ufffd" : escape);
    const text = JSON.stringify(frame).replace(/\\(u[0-9a-f]{4}|.)/g, whole);
    return { text, sent: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** @param {string} text @returns {Frame | undefined} */
export function parse(text) {
  try {
    const frame = JSON.parse(text);
    return typeof frame?.type === "string" ? frame : undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} code @param {string} message @returns {Refusal} */
export function refusal(code, message) {
  return { ok: false, code, message };
}

export const UNANSWERED = refusal("unanswered", "no answer came");
export const EXPIRED = refusal("expired", "its time was over before it could be asked for again");
export const DISCONNECTED = refusal("disconnected", "the connection that held it has ended");

/** @param {Refusal} refused */
export function withoutOk({ ok: _, frame: __, ...rest }) {
  return rest;
}

/** @param {string} text */
export function bytesOf(text) {
  return new TextEncoder().encode(text).length;
}

/** The deadline that a frame tells, in the server's time. @param {unknown} text @returns {number | undefined} */
export function timeOf(text) {
  const time = typeof text === "string" ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** @param {Frame} frame @returns {Outcome} */
export function toOutcome(frame) {
  if (frame.type !== "error") return { ok: true, frame };
  const refused = refusal(textOr(frame.code, "error"), textOr(frame.message, ""));
  return refused.code === "rate_limited" ? { ...refused, retryAfterMs: pauseOf(frame) } : refused;
}

/** Whether the same request may succeed later. @param {Refusal} refused */
export function isPassing(refused) {
  return PASSING.has(refused.code);
}

/**
 * Why a cart is lost when a connection is over for good. Who closes knows what that ends, and where the session has gone
 * on elsewhere nothing is lost: undefined.
 * @param {number | undefined} code
 */
export function lostBy(code) {
  return code === undefined || code === SUPERSEDED ? undefined : DISCONNECTED;
}

/**
 * Milliseconds until a connection that ended with this code is opened again: half fixed and half random, so that
 * thousands who were dropped together do not come back together. Undefined when it is not to be.
 * @param {number} code @param {number} attempt  Attempts that failed in a row.
 * @param {{ retryMinMs: number, retryMaxMs: number }} bounds
 * @param {number} [patienceMs]  Not longer than this, because a cart would be lost. @returns {number | undefined}
 */
export function waitBeforeReturn(code, attempt, { retryMinMs, retryMaxMs }, patienceMs = retryMaxMs) {
  if (OWN_FAULTS.has(code) || (code >= 4500 && code <= 4999)) return undefined;
  const span = code === TOO_MANY_MESSAGES ? 2 * retryMaxMs : Math.min(retryMaxMs, Math.max(retryMinMs, patienceMs), retryMinMs * 2 ** attempt);
  return Math.round(span / 2 + (Math.random() * span) / 2);
}

/**
 * Whether this answers a select of this client: an event of another connection, even of the same name, has `user_info`.
 * @param {Frame} frame @param {string} clientId
 */
export function isOwnSelect(frame, clientId) {
  return frame.type === "seat_selected" && frame.client_id === clientId && frame.user_info === undefined;
}

/** Whether `frame` can be the answer to `asked`. @param {Frame} asked @param {Frame} frame @param {string} clientId */
export function answers(asked, frame, clientId) {
  const sameSeat = frame.room_id === asked.room_id && frame.seat_id === asked.seat_id && frame.client_id === clientId;
  switch (frame.type) {
    case "room_joined":
      return asked.type === "join_room" && frame.room_id === asked.room_id;
    case "room_left":
      return asked.type === "leave_room" && frame.room_id === asked.room_id;
    case "seat_selected":
      return asked.type === "select_seat" && sameSeat && isOwnSelect(frame, clientId);
    case "seat_released":
      return asked.type === "release_seat" && sameSeat && (frame.reason ?? "released") === "released";
    case "pong":
      return asked.type === "ping";
    case "error":
      return (
        (frame.request_type ?? asked.type) === asked.type &&
        (frame.room_id ?? asked.room_id) === asked.room_id &&
        (frame.seat_id ?? asked.seat_id) === asked.seat_id
      );
    default:
      return false;
  }
}

/** @param {Frame} frame */
function pauseOf({ retry_after_ms: asked }) {
  return typeof asked === "number" && asked >= 0 ? Math.min(asked, PAUSE_MS_MAX) : PAUSE_MS;
}

/** @param {unknown} text @param {string} otherwise */
function textOr(text, otherwise) {
  return typeof text === "string" ? text : otherwise;
}
