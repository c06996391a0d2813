/**
 * The session of this tab: the proof with which a later connection, or the page after a reload, continues its carts.
 *
 * Owns: one entry of the storage, and which entries this page uses already.
 * Invariants: two clients of one page never use the same entry at once, so they do not throw each other out; what cannot
 * be read is no session; a browser that forbids storage costs the reload and nothing else.
 * Never here: messages. A tab that was duplicated has a copy of the entry: the server ends the older connection (4505).
 *
 * @typedef {import("./butaca-client.js").Store} Store
 */

import { isValidId, RESUME_ROOMS_MAX } from "./butaca-protocol.js";

const TRIES_IN_GRACE = 4;
/** Entries in use by the clients of this page. @type {Set<string>} */
const inUse = new Set();

export class Session {
  /** @type {string | undefined} */ id;
  /** @type {string | undefined} */ #token;
  /** Where something is held, the latest last. @type {Set<string>} */ #rooms = new Set();
  #claimed = false;
  /** How long the server keeps the carts of a session without a connection. */
  #graceMs = 0;
  /** Since when there has been none, by the local clock. @type {number | undefined} */ #awaySince;

  /** @param {string} key @param {Store | null} [storage] */
  constructor(key, storage) {
    this.key = `butaca.session ${key}`;
    this.storage = storage === undefined ? tabStorage() : storage;
  }

  /** A connection begins: takes up what the tab remembers, unless another client of this page has done so. */
  claim() {
    if (this.#claimed || this.storage === null || inUse.has(this.key)) return;
    inUse.add(this.key);
    this.#claimed = true;
    if (this.#token === undefined) this.#read();
  }

  /** The client was closed: another one of this page may go on from here. */
  yield() {
    if (this.#claimed) inUse.delete(this.key);
    this.#claimed = false;
  }

  /** What a connection shows to continue the session. */
  get proof() {
    return this.#token === undefined ? undefined : { token: this.#token, rooms: [...this.#rooms].slice(-RESUME_ROOMS_MAX) };
  }

  /** The longest wait before coming back that leaves a cart several tries within its grace; undefined: nothing hurries. */
  get patienceMs() {
    const away = this.#awaySince === undefined ? 0 : Date.now() - this.#awaySince;
    return this.#rooms.size > 0 && away < this.#graceMs ? this.#graceMs / TRIES_IN_GRACE : undefined;
  }

  /** The connection is lost. */
  away() {
    this.#awaySince ??= Date.now();
  }

  /** A connection has it. @param {unknown} id @param {unknown} token @param {unknown} graceMs */
  keep(id, token, graceMs) {
    this.#awaySince = undefined;
    this.#graceMs = typeof graceMs === "number" ? graceMs : 0;
    this.id = typeof id === "string" ? id : undefined;
    this.#token = typeof token === "string" ? token : undefined;
    this.#write();
  }

  /** @param {string} roomId @param {boolean} something  Whether something of this session is in the room. */
  holds(roomId, something) {
    if (this.#rooms.has(roomId) === something) return;
    if (something) this.#rooms.add(roomId);
    else this.#rooms.delete(roomId);
    this.#write();
  }

  forget() {
    this.id = this.#token = undefined;
    this.#rooms.clear();
    this.#write();
  }

  #read() {
    try {
      const { token, rooms } = JSON.parse(this.storage?.getItem(this.key) ?? "null") ?? {};
      if (typeof token !== "string") return;
      this.#token = token;
      this.#rooms = new Set(Array.isArray(rooms) ? rooms.filter(isValidId) : []);
    } catch {
      // What somebody else wrote there is no session.
    }
  }

  #write() {
    if (!this.#claimed) return;
    try {
      if (this.#token === undefined) this.storage?.removeItem(this.key);
      else this.storage?.setItem(this.key, JSON.stringify({ token: this.#token, rooms: [...this.#rooms] }));
    } catch {
      // It is full or forbidden: a reload will begin anew.
    }
  }
}

/** @returns {Store | null} */
function tabStorage() {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}
