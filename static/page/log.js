/**
 * The log of messages, newest first.
 *
 * Invariants: at most `LINES_MAX` lines; nothing is drawn while the log is closed.
 */

const LINES_MAX = 200;

export class MessageLog {
  /** Lines that are not drawn yet, oldest first. @type {HTMLElement[]} */
  #fresh = [];
  #scheduled = false;

  /** @param {HTMLDetailsElement} box @param {HTMLElement} list */
  constructor(box, list) {
    this.box = box;
    this.list = list;
    box.addEventListener("toggle", () => this.#draw());
  }

  /** @param {"in" | "out" | "note"} direction @param {{ type: string }} frame */
  add(direction, frame) {
    this.#fresh.push(lineOf(direction, frame));
    if (this.#fresh.length > LINES_MAX) this.#fresh.shift();
    if (this.#scheduled || !this.box.open) return;
    this.#scheduled = true;
    requestAnimationFrame(() => this.#draw());
  }

  clear() {
    this.#fresh = [];
    this.list.replaceChildren();
  }

  #draw() {
    this.#scheduled = false;
    if (!this.box.open) return;
    this.list.prepend(...this.#fresh.reverse());
    this.#fresh = [];
    while (this.list.childElementCount > LINES_MAX) this.list.lastElementChild?.remove();
  }
}

/** @param {"in" | "out" | "note"} direction @param {{ type: string }} frame */
function lineOf(direction, frame) {
  const line = document.createElement("li");
  line.className = frame.type === "error" ? `${direction} error` : direction;
  const time = document.createElement("time");
  time.textContent = new Date().toLocaleTimeString([], { hour12: false });
  const arrow = { in: " ← ", out: " → ", note: " · " }[direction];
  line.append(time, arrow, JSON.stringify(frame));
  return line;
}
