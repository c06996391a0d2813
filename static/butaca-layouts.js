/**
 * Fetches the layouts of rooms: they never change under their version, so each is fetched once a page.
 *
 * Invariants: at most one request at a time for a layout; a failure is tried again later, a few times.
 * Never here: what a layout means beyond its seats.
 *
 * @import { Layout, RoomMap } from "./butaca-map.js"
 */

const RETRY_MS = 2_000;
const TRIES_MAX = 6;

export class Layouts {
  /** By address. @type {Map<string, Promise<Layout>>} */ #fetched = new Map();

  /**
   * @param {string} url  `ws://host:port`. @param {typeof fetch | null | undefined} fetcher  null: nothing is fetched.
   * @param {(roomId: string, layout: Layout) => void} arrived
   */
  constructor(url, fetcher, arrived) {
    this.base = url.replace(/^ws/, "http").replace(/\/+$/, "");
    this.fetcher = fetcher === undefined ? globalThis.fetch?.bind(globalThis) : fetcher;
    this.arrived = arrived;
  }

  /** The room may have a layout whose seats are not known by name yet. @param {RoomMap} room */
  want(room) {
    const { layout } = room;
    if (!layout || room.names || !this.fetcher) return;
    const address = `${this.base}/layouts/${encodeURIComponent(layout.id)}/${encodeURIComponent(layout.version)}`;
    this.#get(address).then(
      (found) => room.layout === layout && this.arrived(room.roomId, found),
      () => undefined, // The next `room_joined` asks again.
    );
  }

  /** @param {string} address */
  #get(address) {
    let layout = this.#fetched.get(address);
    if (!layout) {
      layout = this.#load(address, TRIES_MAX);
      this.#fetched.set(address, layout);
      layout.catch(() => this.#fetched.delete(address));
    }
    return layout;
  }

  /** @param {string} address @param {number} tries @returns {Promise<Layout>} */
  async #load(address, tries) {
    try {
      const answer = await /** @type {typeof fetch} */ (this.fetcher)(address);
      if (!answer.ok) throw new Error(`${answer.status} for ${address}`);
      return await answer.json();
    } catch (error) {
      if (tries <= 1) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS * (0.5 + Math.random())));
      return this.#load(address, tries - 1);
    }
  }
}
