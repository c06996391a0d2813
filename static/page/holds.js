/**
 * The list of own seats with their countdowns.
 *
 * Invariant: the list shows exactly the holds that it was given last; the clock only changes numbers, never the list.
 * Never here: the protocol; a hold leaves the list when the server says so, not when its clock stands at zero.
 *
 * @typedef {{ roomId: string, seatId: string, remaining: number | undefined, releasing: boolean }} HoldRow
 */

import { clock, t } from "./text.js";

const SOON_MS = 30_000;

export class HoldList {
  /** @type {Map<string, { row: HTMLElement, time: HTMLElement, bar: HTMLProgressElement, whole: number, warned: boolean }>} */
  #rows = new Map();

  /**
   * @param {HTMLElement} list @param {HTMLElement} empty
   * @param {{ onRelease: (roomId: string, seatId: string) => void, onSoon: (seatId: string, seconds: number) => void }} hooks
   */
  constructor(list, empty, hooks) {
    this.list = list;
    this.empty = empty;
    this.hooks = hooks;
  }

  /** @param {HoldRow[]} holds */
  show(holds) {
    const wanted = new Set(holds.map(keyOf));
    for (const [key, { row }] of this.#rows) {
      if (wanted.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    for (const hold of holds) if (!this.#rows.has(keyOf(hold))) this.#add(hold);
    this.empty.hidden = holds.length > 0;
    this.tick(holds);
  }

  /** @param {HoldRow[]} holds */
  tick(holds) {
    for (const hold of holds) {
      const shown = this.#rows.get(keyOf(hold));
      if (!shown || hold.remaining === undefined) continue;
      shown.time.textContent = clock(hold.remaining);
      shown.bar.value = hold.remaining / shown.whole;
      const soon = hold.remaining <= SOON_MS && hold.remaining > 0;
      shown.row.classList.toggle("soon", soon);
      if (soon && !shown.warned) this.hooks.onSoon(hold.seatId, Math.ceil(hold.remaining / 1000));
      shown.warned = soon;
    }
  }

  /** @param {HoldRow} hold */
  #add(hold) {
    const { roomId, seatId } = hold;
    const row = document.createElement("li");
    const name = element("span", "hold-seat", seatId);
    const room = element("span", "hold-room", roomId);
    const time = element("span", "hold-time", "");
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.setAttribute("aria-hidden", "true");
    const button = element("button", "small", t("release"));
    button.setAttribute("aria-label", t("releaseSeat", { seat: seatId, room: roomId }));
    button.addEventListener("click", () => this.hooks.onRelease(roomId, seatId));
    row.append(name, room, time, button, bar);
    this.list.append(row);
    // The bar starts full at what is left when the hold is first seen; a reply without a deadline shows none.
    bar.hidden = hold.remaining === undefined;
    const warned = hold.remaining !== undefined && hold.remaining <= SOON_MS;
    this.#rows.set(keyOf(hold), { row, time, bar, whole: hold.remaining || 1, warned });
  }
}

/** @param {HoldRow} hold */
function keyOf({ roomId, seatId }) {
  return JSON.stringify([roomId, seatId]);
}

/** @param {string} tag @param {string} className @param {string} text */
function element(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
