/**
 * The log of messages, newest first.
 *
 * Invariants: at most `LINES_MAX` lines; nothing is drawn, not even as text, while the log is closed.
 *
 * @typedef {"in" | "out" | "note"} Direction
 */

const LINES_MAX = 200;

export class MessageLog {
  /** What is not drawn yet, oldest first. @type {[direction: Direction, frame: { type: string }, at: Date][]} */
  #fresh = [];
  #scheduled = false;

  /** @param {HTMLDetailsElement} box @param {HTMLElement} list */
  constructor(box, list) {
    this.box = box;
    this.list = list;
    box.addEventListener("toggle", () => this.#draw());
  }

  /** @param {Direction} direction @param {{ type: string }} frame */
  add(direction, frame) {
    this.#fresh.push([direction, frame, new Date()]);
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
    this.list.prepend(...this.#fresh.reverse().map((each) => lineOf(...each)));
    this.#fresh = [];
    while (this.list.childElementCount > LINES_MAX) this.list.lastElementChild?.remove();
  }
}

/** @param {Direction} direction @param {{ type: string }} frame @param {Date} at */
function lineOf(direction, frame, at) {
  const line = document.createElement("li");
  line.className = frame.type === "error" ? `${direction} error` : direction;
  const time = document.createElement("time");
  time.textContent = at.toLocaleTimeString([], { hour12: false });
  const arrow = { in: " ← ", out: " → ", note: " · " }[direction];
  line.append(time, arrow, JSON.stringify(frame));
  return line;
}
