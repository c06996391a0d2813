/**
 * What the page starts with: the address bar first, then what this tab remembers, then defaults.
 *
 * `?server=ws://host:8001&name=Ana&room=hall-1&room=hall-2&plan=arena&lang=es&protocol=v1`
 */

const LOCAL_SERVER = "ws://localhost:8001";

/**
 * @typedef {{ server: string, name: string, rooms: string[], plan: string, lang: string, ask: boolean,
 *   protocol: "auto" | "v1" | "v2" }} Settings */

/** `ask`: opened as a file without saying where the server is, so the user is asked first. @returns {Settings} */
export function readSettings() {
  const query = new URLSearchParams(location.search);
  const served = location.protocol === "http:" || location.protocol === "https:";
  const origin = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
  const protocol = query.get("protocol");
  const rooms = query.getAll("room").filter((room) => room !== "");
  return {
    server: query.get("server") ?? (served ? origin : (recall("server") ?? LOCAL_SERVER)),
    name: query.get("name") ?? recall("name") ?? `guest-${Math.random().toString(36).slice(2, 6)}`,
    rooms: rooms.length > 0 ? rooms : ["main-hall"],
    plan: query.get("plan") === "arena" ? "arena" : "theatre",
    lang: query.get("lang") ?? navigator.language,
    protocol: protocol === "v1" || protocol === "v2" ? protocol : "auto",
    ask: !served && !query.has("server"),
  };
}

/** Remembers a value for this tab; a browser that forbids it just forgets. @param {string} key @param {string} value */
export function remember(key, value) {
  try {
    sessionStorage.setItem(`butaca.${key}`, value);
  } catch {
    // Storage is a convenience here.
  }
}

/** @param {string} key */
function recall(key) {
  try {
    return sessionStorage.getItem(`butaca.${key}`);
  } catch {
    return null;
  }
}
