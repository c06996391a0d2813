/**
 * The shop's token (JWT): where it comes from, and when the next one is due.
 *
 * Invariants: what a source throws is "no token"; a timer runs only between `renewIn` and `stop`.
 * Never here: what is in a token.
 */

/** A token is renewed so long before its end, or at the half of what is left. */
const RENEW_BEFORE_MS = 30_000;
const TIMER_MS_MAX = 2 ** 31 - 1;

export class TokenSource {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;

  /** @param {string | (() => string | Promise<string>)} [source] */
  constructor(source) {
    this.source = source;
  }

  /** @returns {Promise<string | undefined>} */
  async next() {
    try {
      const text = typeof this.source === "function" ? await this.source() : this.source;
      return typeof text === "string" ? text : undefined;
    } catch {
      return undefined;
    }
  }

  /** Hands over the next token before the present one ends. @param {number} leftMs @param {(text: string) => void} take */
  renewIn(leftMs, take) {
    this.stop();
    if (typeof this.source !== "function") return;
    const timer = setTimeout(async () => {
      const text = await this.next();
      if (text !== undefined && this.#timer === timer) take(text);
    }, Math.min(Math.max(leftMs / 2, leftMs - RENEW_BEFORE_MS), TIMER_MS_MAX));
    this.#timer = timer;
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
