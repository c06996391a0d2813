// Butaca as Vue composables. The client keeps the state; Vue only reads it.

import { computed, onScopeDispose, ref, shallowRef, toValue, triggerRef, watch } from "vue";
import { ButacaClient } from "../../../static/butaca-client.js";

/** One connection for as long as the component lives. */
export function useClient(url, name, protocol = "auto") {
  const client = new ButacaClient({ url, clientId: name, userInfo: { name }, protocol });
  const status = ref(client.status);
  useButacaEvent(client, "status", (detail) => {
    status.value = detail.status;
  });
  client.connect();
  onScopeDispose(() => client.close());
  return { client, status };
}

/** Calls `act` for each event of that type until the component is gone. */
export function useButacaEvent(client, type, act) {
  const listener = ({ detail }) => act(detail);
  client.addEventListener(type, listener);
  onScopeDispose(() => client.removeEventListener(type, listener));
}

/** The room whose id `roomId` holds; changing it leaves the old room and joins the new one. */
export function useRoom(client, roomId) {
  const room = shallowRef(client.room(toValue(roomId)));
  watch(
    () => toValue(roomId),
    (next, previous) => {
      if (previous !== undefined) client.leave(previous);
      client.join(next);
      room.value = client.room(next);
    },
    { immediate: true },
  );
  useButacaEvent(client, "change", (detail) => {
    if (detail.roomId !== toValue(roomId)) return;
    room.value = client.room(detail.roomId); // Another copy, once the server has said which version it speaks.
    triggerRef(room);
  });
  return room;
}

/** The whole cart of a room of `useRoom`, and how long it still lives; undefined with a server of v1. */
export function useCart(client, room) {
  const tick = useTicker(500);
  return computed(() => {
    void tick.value; // The clock moves although the room does not change.
    const { cart } = room.value;
    return cart && { ...cart, seconds: Math.ceil((client.remaining(cart) ?? 0) / 1000) };
  });
}

/** A number that grows every `ms` milliseconds: for countdowns. */
export function useTicker(ms) {
  const tick = ref(0);
  const timer = setInterval(() => {
    tick.value += 1;
  }, ms);
  onScopeDispose(() => clearInterval(timer));
  return tick;
}
