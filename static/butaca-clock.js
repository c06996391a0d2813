/**
 * The server's clock, as far as frames have told it.
 *
 * Invariants: of the samples of one connection the largest counts, which is the one that travelled the shortest; the first
 * of a connection replaces those of before, since clocks may have been set.
 * Never here: timers.
 */

export class ServerClock {
  /** Server time minus local time. */
  #offset = Number.NEGATIVE_INFINITY;
  #isOld = true;

  /** A connection has begun. */
  begin() {
    this.#isOld = true;
  }

  /** @param {unknown} text  A time that a frame told; anything else says nothing. */
  learn(text) {
    const sample = typeof text === "string" ? Date.parse(text) - Date.now() : Number.NaN;
    if (Number.isNaN(sample)) return;
    if (this.#isOld || sample > this.#offset) this.#offset = sample;
    this.#isOld = false;
  }

  now() {
    return Date.now() + (Number.isFinite(this.#offset) ? this.#offset : 0);
  }

  /** Milliseconds left; undefined when the end is unknown. @param {number | undefined} expiresAt */
  remaining(expiresAt) {
    return expiresAt === undefined ? undefined : Math.max(0, expiresAt - this.now());
  }
}
