/**
 * What the page says, in English and Spanish.
 *
 * Invariant: both languages have the same keys (a test compares them); `{name}` in a text is replaced by an argument.
 * Elements with `data-t` get their text from here, `data-t-label` their aria-label.
 */

const EN = {
  tagline: "Live seat map",
  connection: "Connection",
  server: "Server",
  yourName: "Your name",
  connect: "Connect",
  disconnect: "Disconnect",
  rooms: "Rooms",
  newRoom: "New room",
  openRoom: "Open room",
  closeRoom: "Close room {room}",
  plan: "Plan",
  theatre: "Theatre",
  arena: "Arena, 2,000 seats",
  zoomIn: "Zoom in",
  zoomOut: "Zoom out",
  zoomFit: "Whole plan",
  free: "Free",
  pending: "Asking…",
  mine: "Yours",
  other: "Taken",
  accessible: "Wheelchair",
  best: "Best seats together",
  bestOf: "The best {quantity} seats together",
  bestAccessible: "for wheelchairs",
  moreTime: "More time",
  timeLeft: "Time left",
  orderCheckout: "Being paid: {seats}",
  orderBooked: "Bought: {seats}",
  useHere: "Use it here",
  status_elsewhere: "Your seats are in another tab now",
  sale_scheduled: "The sale has not begun.",
  sale_paused: "The sale is paused.",
  sale_closed: "The sale is over.",
  sale_deleted: "This room is no more.",
  checkout: "Being paid",
  booked: "Sold",
  blocked: "Not for sale",
  refused: "Refused",
  legend: "Legend",
  mySeats: "Your seats",
  noSeats: "None yet. Click a free seat to hold it; click it again to give it back.",
  release: "Release",
  releaseSeat: "Release seat {seat} in {room}",
  releaseAll: "Release all",
  now: "Right now",
  roundTrip: "Round trip",
  refusals: "Refusals",
  events: "Events/s",
  log: "Messages",
  clear: "Clear",
  keys: "Arrow keys move, Enter or Space selects and releases, + and − zoom, 0 shows the whole plan.",
  offMap: "Also held, but not on this plan: {seats}",
  status_idle: "Not connected",
  status_connecting: "Connecting…",
  status_open: "Connected",
  status_waiting: "Connection lost. Next attempt in {seconds} s",
  status_closed: "Disconnected",
  retryNow: "Retry now",
  stage: "STAGE",
  block_left: "left",
  block_centre: "centre",
  block_right: "right",
  rowLabel: "Row {row}",
  rowInBlock: "Block {block}, row {row}",
  seatLabel: "Row {row}, seat {number}",
  seatInBlock: "Block {block}, row {row}, seat {number}",
  is_free: "{seat}: free",
  is_pending: "{seat}: asking the server",
  is_mine: "{seat}: yours",
  is_mine_until: "{seat}: yours for {time}",
  is_other: "{seat}: taken by {who}",
  is_other_until: "{seat}: taken by {who}, {time} left",
  is_taken: "{seat}: taken",
  is_checkout: "{seat}: yours, being paid",
  is_booked: "{seat}: sold",
  is_blocked: "{seat}: not for sale",
  is_refused: "{seat}: refused, {why}",
  gridLabel: "Seats of {room}. Arrow keys move, Enter selects.",
  said_best: "Yours: {seats}.",
  said_moved: "Your seats are in another tab now.",
  said_mine: "Seat {seat} is yours for {time}.",
  said_released: "Seat {seat} is free again.",
  said_refused: "Seat {seat} was refused: {why}.",
  said_expired: "Your time for seat {seat} is over.",
  said_ended: "Seat {seat} is no longer yours.",
  said_lost: "Seat {seat} was lost while the connection was down.",
  said_soon: "{seconds} seconds left for seat {seat}.",
  said_open: "Connected.",
  said_waiting: "Connection lost, trying again.",
  zoomedIn: "Zoomed in. Now tap a seat.",
  why_seat_taken: "somebody else has it",
  why_limit_exceeded: "you hold as many seats here as one person may",
  why_not_held: "it was free already",
  why_not_owner: "it is not yours",
  why_overloaded: "the server is at a limit, try again",
  why_persistence_unavailable: "the server cannot store it now, try again",
  why_rate_limited: "too many requests, slow down",
  why_seats_unavailable: "somebody else has it",
  why_unknown_seat: "this hall does not have it",
  why_in_checkout: "it is being paid",
  why_no_adjacent_seats: "there are not so many next to each other",
  why_not_enough_seats: "there are not so many left",
  why_orphan_seat: "it would leave a single seat alone",
  why_extend_limit: "there is no more time to be had",
  why_hold_expired: "your time here is over for now, try again in a while",
  why_unknown_room: "there is no such room",
  why_unauthorized: "the shop has to say who you are",
  why_token_expired: "what the shop said of you is too old",
  why_forbidden: "the shop does not allow it",
  why_sale_not_open: "the sale has not begun",
  why_sale_paused: "the sale is paused",
  why_sale_closed: "the sale is over",
  why_offline: "not connected",
  badName: "A name has 1 to 128 bytes, and no control or invisible characters; a few are the server's own.",
  badServer: "That is no address of a server (ws://host:port).",
};

/** @type {typeof EN} */
const ES = {
  tagline: "Plano de butacas en directo",
  connection: "Conexión",
  server: "Servidor",
  yourName: "Tu nombre",
  connect: "Conectar",
  disconnect: "Desconectar",
  rooms: "Salas",
  newRoom: "Sala nueva",
  openRoom: "Abrir sala",
  closeRoom: "Cerrar la sala {room}",
  plan: "Plano",
  theatre: "Teatro",
  arena: "Pabellón, 2.000 butacas",
  zoomIn: "Acercar",
  zoomOut: "Alejar",
  zoomFit: "Plano completo",
  free: "Libre",
  pending: "Pidiendo…",
  mine: "Tuya",
  other: "Ocupada",
  accessible: "Silla de ruedas",
  best: "Las mejores juntas",
  bestOf: "Las {quantity} mejores butacas juntas",
  bestAccessible: "para sillas de ruedas",
  moreTime: "Más tiempo",
  timeLeft: "Tiempo restante",
  orderCheckout: "En pago: {seats}",
  orderBooked: "Compradas: {seats}",
  useHere: "Usarlas aquí",
  status_elsewhere: "Tus butacas están ahora en otra pestaña",
  sale_scheduled: "La venta no ha empezado.",
  sale_paused: "La venta está en pausa.",
  sale_closed: "La venta ha terminado.",
  sale_deleted: "Esta sala ya no existe.",
  checkout: "En pago",
  booked: "Vendida",
  blocked: "No disponible",
  refused: "Rechazada",
  legend: "Leyenda",
  mySeats: "Tus butacas",
  noSeats: "Ninguna todavía. Pulsa una butaca libre para reservarla; púlsala otra vez para dejarla.",
  release: "Dejar",
  releaseSeat: "Dejar la butaca {seat} de {room}",
  releaseAll: "Dejar todas",
  now: "Ahora mismo",
  roundTrip: "Ida y vuelta",
  refusals: "Rechazos",
  events: "Eventos/s",
  log: "Mensajes",
  clear: "Vaciar",
  keys: "Las flechas mueven, Intro o Espacio reservan y dejan, + y − acercan y alejan, 0 muestra el plano completo.",
  offMap: "También reservadas, pero fuera de este plano: {seats}",
  status_idle: "Sin conexión",
  status_connecting: "Conectando…",
  status_open: "Conectado",
  status_waiting: "Conexión perdida. Nuevo intento en {seconds} s",
  status_closed: "Desconectado",
  retryNow: "Reintentar ya",
  stage: "ESCENARIO",
  block_left: "izquierda",
  block_centre: "centro",
  block_right: "derecha",
  rowLabel: "Fila {row}",
  rowInBlock: "Bloque {block}, fila {row}",
  seatLabel: "Fila {row}, butaca {number}",
  seatInBlock: "Bloque {block}, fila {row}, butaca {number}",
  is_free: "{seat}: libre",
  is_pending: "{seat}: preguntando al servidor",
  is_mine: "{seat}: tuya",
  is_mine_until: "{seat}: tuya durante {time}",
  is_other: "{seat}: ocupada por {who}",
  is_other_until: "{seat}: ocupada por {who}, quedan {time}",
  is_taken: "{seat}: ocupada",
  is_checkout: "{seat}: tuya, en pago",
  is_booked: "{seat}: vendida",
  is_blocked: "{seat}: no disponible",
  is_refused: "{seat}: rechazada, {why}",
  gridLabel: "Butacas de {room}. Las flechas mueven, Intro reserva.",
  said_best: "Tuyas: {seats}.",
  said_moved: "Tus butacas están ahora en otra pestaña.",
  said_mine: "La butaca {seat} es tuya durante {time}.",
  said_released: "La butaca {seat} vuelve a estar libre.",
  said_refused: "La butaca {seat} fue rechazada: {why}.",
  said_expired: "Se acabó tu tiempo para la butaca {seat}.",
  said_ended: "La butaca {seat} ya no es tuya.",
  said_lost: "La butaca {seat} se perdió mientras no había conexión.",
  said_soon: "Quedan {seconds} segundos para la butaca {seat}.",
  said_open: "Conectado.",
  said_waiting: "Conexión perdida, volviendo a intentarlo.",
  zoomedIn: "Plano ampliado. Ahora toca una butaca.",
  why_seat_taken: "la tiene otra persona",
  why_limit_exceeded: "ya tienes aquí todas las que puede tener una persona",
  why_not_held: "ya estaba libre",
  why_not_owner: "no es tuya",
  why_overloaded: "el servidor está al límite, inténtalo otra vez",
  why_persistence_unavailable: "el servidor no puede guardarla ahora, inténtalo otra vez",
  why_rate_limited: "demasiadas peticiones, ve más despacio",
  why_seats_unavailable: "la tiene otra persona",
  why_unknown_seat: "esta sala no la tiene",
  why_in_checkout: "está en pago",
  why_no_adjacent_seats: "no quedan tantas juntas",
  why_not_enough_seats: "no quedan tantas",
  why_orphan_seat: "dejaría una butaca suelta",
  why_extend_limit: "ya no se puede ampliar el tiempo",
  why_hold_expired: "tu tiempo aquí se ha acabado por ahora, inténtalo dentro de un rato",
  why_unknown_room: "esa sala no existe",
  why_unauthorized: "la tienda tiene que decir quién eres",
  why_token_expired: "lo que la tienda dijo de ti ha caducado",
  why_forbidden: "la tienda no lo permite",
  why_sale_not_open: "la venta no ha empezado",
  why_sale_paused: "la venta está en pausa",
  why_sale_closed: "la venta ha terminado",
  why_offline: "no hay conexión",
  badName: "El nombre tiene de 1 a 128 bytes y ningún carácter de control ni invisible; algunos son del servidor.",
  badServer: "Eso no es la dirección de un servidor (ws://máquina:puerto).",
};

export const LANGUAGES = { en: EN, es: ES };

/** @typedef {keyof typeof EN} TextKey */

let chosen = EN;
let language = "en";

/** @param {string} wanted  A language tag, such as `es-AR`. */
export function chooseLanguage(wanted) {
  language = wanted.toLowerCase().startsWith("es") ? "es" : "en";
  chosen = language === "es" ? ES : EN;
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-t]")) {
    element.textContent = t(/** @type {TextKey} */ (element.getAttribute("data-t")));
  }
  for (const element of document.querySelectorAll("[data-t-label]")) {
    const label = t(/** @type {TextKey} */ (element.getAttribute("data-t-label")));
    element.setAttribute("aria-label", label);
    element.setAttribute(element instanceof HTMLInputElement ? "placeholder" : "title", label);
  }
}

/** @param {TextKey} key @param {Record<string, string | number>} [values] */
export function t(key, values = {}) {
  return chosen[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** The reason of a refusal in words; the server's own words where there are none. @param {string} code @param {string} message */
export function why(code, message) {
  const key = `why_${code}`;
  return key in chosen ? chosen[/** @type {TextKey} */ (key)] : message || code;
}

/** Minutes and seconds. @param {number} ms */
export function clock(ms) {
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** @param {number} value */
export function formatNumber(value) {
  return value.toLocaleString(language);
}
