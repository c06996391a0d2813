/**
 * What one connection has brought, in the order in which it came, with packed maps unpacked on the way (v2).
 *
 * Owns: the frames that wait behind a map that is being unpacked; whether maps are asked for packed.
 * Invariants:
 *   - Frames are handed on in order, and at once unless a packed map before them is not ready yet.
 *   - What came on a connection that has ended since is never handed on.
 *   - A packed map that cannot be read is handed on without its states.
 * Never here: what frames mean, how many seats a room has.
 *
 * @import { Frame } from "./butaca-room.js"
 * @typedef {(packed: Uint8Array<ArrayBuffer>, bytesMax: number) => Promise<Uint8Array>} Inflate  Raw DEFLATE (RFC 1951); rejects
 *   what is none, and what would be longer than `bytesMax`.
 */

import { LAYOUT_SEATS_MAX } from "./butaca-protocol.js";

/** Two bits a seat. */
const MAP_BYTES_MAX = LAYOUT_SEATS_MAX / 4;

export class Inbox {
  /** @type {Frame[]} */ #waiting = [];
  /** The first of those that wait is being unpacked. */
  #isUnpacking = false;
  /** Grows with `clear`: what was begun before ends in nothing. */
  #age = 0;
  /** @type {Inflate | null} */ #inflate;

  /** @param {(frame: Frame) => void} handOn @param {Inflate | null} [inflate]  null: maps are not asked for packed. */
  constructor(handOn, inflate = ofPlatform) {
    this.handOn = handOn;
    this.#inflate = inflate;
  }

  /** The member `packed` of a request for a map. @returns {true | undefined} */
  get packed() {
    return this.#inflate ? true : undefined;
  }

  /** @param {Frame} frame */
  take(frame) {
    this.#waiting.push(frame);
    this.#next();
  }

  /** Packed maps cannot be read here: none is asked for from now on. */
  giveUp() {
    this.#inflate = null;
  }

  /** The connection has ended. */
  clear() {
    this.#waiting = [];
    this.#isUnpacking = false;
    this.#age += 1;
  }

  #next() {
    while (!this.#isUnpacking && this.#waiting.length > 0) {
      if (isPacked(this.#waiting[0])) void this.#unpack(this.#waiting[0], this.#age);
      else this.handOn(/** @type {Frame} */ (this.#waiting.shift()));
    }
  }

  /** @param {Frame} frame @param {number} age */
  async #unpack(frame, age) {
    this.#isUnpacking = true;
    const states = await this.#statesOf(frame.packed);
    if (age !== this.#age) return;
    this.#isUnpacking = false;
    this.#waiting.shift();
    this.handOn({ ...frame, states });
    this.#next();
  }

  /** @param {string} packed @returns {Promise<Uint8Array | undefined>} */
  async #statesOf(packed) {
    try {
      if (!this.#inflate) throw new TypeError("nobody can");
      return await this.#inflate(Uint8Array.from(atob(packed), (byte) => byte.charCodeAt(0)), MAP_BYTES_MAX);
    } catch {
      return undefined;
    }
  }
}

/** @param {Frame} frame */
function isPacked({ type, packed }) {
  return type === "snapshot" && typeof packed === "string";
}

/** Tried once: a browser may know the class and not this format. */
const ofPlatform = (() => {
  try {
    return new DecompressionStream("deflate-raw") && inflate;
  } catch {
    return null;
  }
})();

/** @type {Inflate} */
async function inflate(packed, bytesMax) {
  const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  const bytes = new Uint8Array(bytesMax);
  let length = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (length + part.value.length > bytesMax) {
      await reader.cancel();
      throw new RangeError("longer than any map");
    }
    bytes.set(part.value, length);
    length += part.value.length;
  }
  return bytes.subarray(0, length);
}
